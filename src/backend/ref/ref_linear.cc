// Linear of the reference backend: weights stay as the file encodes them and are decoded a row at a time.
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/ref/ref_backend.h"
#include "base/check.h"
#include "tensor/float_types.h"

namespace citius::ref {
namespace {

class RefWeight : public PackedWeight {
 public:
  RefWeight(std::span<const OwnedMatrix> parts, int64_t rows)
      : PackedWeight(parts[0].matrix.format, rows, parts[0].matrix.cols), parts_(parts.begin(), parts.end()) {}

  size_t bytes() const override { return static_cast<size_t>(rows()) * format_row_bytes(format(), cols()); }

  void decode(int64_t row, float* out) const override {
    for (const OwnedMatrix& part : parts_) {
      if (row < part.matrix.rows) {
        decode_row(format(), part.matrix.row(row), cols(), out);
        return;
      }
      row -= part.matrix.rows;
    }
    check_failed("row < rows()", __FILE__, __LINE__);
  }

 private:
  std::vector<OwnedMatrix> parts_;
};

// Replaces a group of inputs by what int8 keeps of it: q · scale, exact in double.
void quantize_group(const float* x, int64_t count, double* out) {
  float largest = 0;
  bool nan = false;
  for (int64_t k = 0; k < count; ++k) {
    largest = std::max(largest, std::fabs(x[k]));
    nan = nan || std::isnan(x[k]);
  }
  const float inverse = 127.0f / largest, scale = largest / 127.0f;
  for (int64_t k = 0; k < count; ++k) {
    if (nan || std::isinf(largest)) {
      out[k] = std::nan("");
    } else if (largest == 0.0f || std::isinf(inverse)) {
      out[k] = 0;
    } else {
      out[k] = static_cast<double>(std::nearbyint(x[k] * inverse)) * static_cast<double>(scale);
    }
  }
}

// The inputs of one token as the chosen compute mode sees them.
void prepare_row(const float* x, int64_t K, ActivationFormat format, double* out) {
  if (format == ActivationFormat::kF32) {
    std::copy(x, x + K, out);
  } else if (format == ActivationFormat::kBF16) {
    for (int64_t k = 0; k < K; ++k) out[k] = bf16_to_f32(f32_to_bf16(x[k]));
  } else {
    const int64_t group = format == ActivationFormat::kInt8PerToken ? K : static_cast<int64_t>(format);
    for (int64_t k = 0; k < K; k += group) quantize_group(x + k, std::min(group, K - k), out + k);
  }
}

// Tokens whose sums are kept side by side, so that a decoded weight is used more than once.
constexpr int64_t kTokens = 16;

}  // namespace

std::unique_ptr<PackedWeight> RefBackend::pack(std::span<const OwnedMatrix> parts) {
  CHECK(!parts.empty());
  int64_t rows = 0;
  for (const OwnedMatrix& part : parts) {
    CHECK(part.matrix.format == parts[0].matrix.format && part.matrix.cols == parts[0].matrix.cols);
    rows += part.matrix.rows;
  }
  return std::make_unique<RefWeight>(parts, rows);
}

KernelChoice RefBackend::explain(const PackedWeight&, Compute) const { return {"reference", {}}; }

void RefBackend::linear(const LinearArgs& args) {
  trace("linear");
  const PackedWeight& weight = *args.weight;
  const int64_t T = args.input.x.rows(), N = weight.rows(), K = weight.cols();
  TensorView x = args.input.x;
  std::vector<float> computed(static_cast<size_t>(args.input.is_computed() ? T * K : 0));
  if (args.input.is_computed()) {
    x = TensorView(computed.data(), DType::kF32, {T, K});
    args.input.norm ? norm({args.input.x, *args.input.norm, x}) : gated({args.input.x, args.input.up, args.input.gate, x});
  }
  const ActivationFormat format = args.compute == Compute::kFast ? format_activation(weight.format()) : ActivationFormat::kF32;
  const int64_t groups = (T + kTokens - 1) / kTokens;
  // [groups, K, kTokens]: inputs of 16 tokens side by side; tokens past the last are zero.
  std::vector<double> inputs(static_cast<size_t>(groups * K * kTokens), 0.0);
  threads_.parallel_for(T, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> row(static_cast<size_t>(K));
    for (int64_t t = begin; t < end; ++t) {
      prepare_row(x.row(t), K, format, row.data());
      double* to = inputs.data() + t / kTokens * K * kTokens + t % kTokens;
      for (int64_t k = 0; k < K; ++k) to[k * kTokens] = row[static_cast<size_t>(k)];
    }
  });
  threads_.parallel_for(N, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> w(static_cast<size_t>(K));
    for (int64_t n = begin; n < end; ++n) {
      weight.decode(n, w.data());
      for (int64_t g = 0; g < groups; ++g) {
        const double* x = inputs.data() + g * K * kTokens;
        double sums[kTokens] = {};
        for (int64_t k = 0; k < K; ++k) {
          const double wk = w[static_cast<size_t>(k)];
          for (int64_t i = 0; i < kTokens; ++i) sums[i] += x[k * kTokens + i] * wk;
        }
        for (int64_t i = 0; i < std::min(kTokens, T - g * kTokens); ++i) {
          const int64_t t = g * kTokens + i;
          const double bias = args.bias != nullptr ? args.bias[n] : 0.0;
          const double residual = args.residual ? args.residual.row(t)[n] : 0.0;
          args.y.row(t)[n] = static_cast<float>(activate(args.activation, sums[i] + bias) + residual);
        }
      }
    }
  });
}

}  // namespace citius::ref
