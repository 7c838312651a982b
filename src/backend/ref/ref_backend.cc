// Pointwise ops, norms and rotary embedding of the reference backend.
#include "backend/ref/ref_backend.h"

#include <cmath>
#include <numbers>

#include "base/check.h"

namespace citius::ref {
namespace {

// Rows of a [T, C] or [T, H, C] view as (token, head) pairs; row r starts at token r / heads.
struct Rows {
  explicit Rows(const TensorView& x) : heads(x.shape.rank() == 3 ? x.shape[1] : 1), channels(x.shape[-1]), count(x.rows() * heads) {}
  float* at(const TensorView& x, int64_t r) const { return x.row(r / heads) + r % heads * channels; }
  int64_t heads, channels, count;
};

}  // namespace

double activate(ActivationKind kind, double x) {
  switch (kind) {
    case ActivationKind::kNone: return x;
    case ActivationKind::kRelu: return x < 0 ? 0 : x;  // NaN passes
    case ActivationKind::kGelu: return 0.5 * x * std::erfc(-x / std::numbers::sqrt2);
    case ActivationKind::kGeluTanh: {
      // 0.5 (1 + tanh(u)) = sigmoid(2u), which keeps its digits where tanh(u) is near -1.
      const double u = std::sqrt(2.0 / std::numbers::pi) * (x + 0.044715 * x * x * x);
      return x / (1.0 + std::exp(-2.0 * u));
    }
    case ActivationKind::kQuickGelu: return x / (1.0 + std::exp(-1.702 * x));
    case ActivationKind::kSilu: return x / (1.0 + std::exp(-x));
    case ActivationKind::kTanh: return std::tanh(x);
    case ActivationKind::kSigmoid: return 1.0 / (1.0 + std::exp(-x));
  }
  check_failed("activation kind", __FILE__, __LINE__);
}

void RefBackend::norm(const NormArgs& args) {
  trace("norm");
  const Rows rows(args.x);
  const auto C = static_cast<double>(rows.channels);
  threads_.parallel_for(rows.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* x = rows.at(args.x, r);
      float* y = rows.at(args.y, r);
      double mean = 0;
      if (args.weights.kind == NormKind::kLayerNorm) {
        for (int64_t c = 0; c < rows.channels; ++c) mean += x[c];
        mean /= C;
      }
      double variance = 0;
      for (int64_t c = 0; c < rows.channels; ++c) variance += (x[c] - mean) * (x[c] - mean);
      const double inverse = 1.0 / std::sqrt(variance / C + static_cast<double>(args.weights.epsilon));
      for (int64_t c = 0; c < rows.channels; ++c) {
        const double weight = args.weights.weight.empty() ? 1.0 : args.weights.weight[static_cast<size_t>(c)];
        const double bias = args.weights.bias.empty() ? 0.0 : args.weights.bias[static_cast<size_t>(c)];
        y[c] = static_cast<float>((x[c] - mean) * inverse * weight + bias);
      }
    }
  });
}

void RefBackend::gated(const GatedArgs& args) {
  trace("gated");
  threads_.parallel_for(args.gate.rows(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* gate = args.gate.row(t);
      const float* up = args.up.row(t);
      float* y = args.y.row(t);
      for (int64_t c = 0; c < args.gate.shape[1]; ++c) {
        y[c] = static_cast<float>(activate(args.kind, gate[c]) * static_cast<double>(up[c]));
      }
    }
  });
}

void RefBackend::add(const AddArgs& args) {
  trace("add");
  threads_.parallel_for(args.a.rows(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* a = args.a.row(t);
      const float* b = args.b.row(t);
      float* y = args.y.row(t);
      for (int64_t c = 0; c < args.a.shape[1]; ++c) y[c] = a[c] + b[c];
    }
  });
}

void RefBackend::rope(const RopeArgs& args) {
  trace("rope");
  const Rotation& by = args.rotation;
  const int64_t H = args.x.shape[1], D = args.x.shape[2], half = by.rotary / 2;
  threads_.parallel_for(args.x.rows(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const float* cosines = by.cos + by.positions[t] * half;
      const float* sines = by.sin + by.positions[t] * half;
      for (int64_t h = 0; h < H; ++h) {
        float* x = args.x.row(t) + h * D;
        for (int64_t i = 0; i < half; ++i) {
          float& a = by.interleaved ? x[2 * i] : x[i];
          float& b = by.interleaved ? x[2 * i + 1] : x[i + half];
          const double xa = a, xb = b, c = cosines[i], s = sines[i];
          a = static_cast<float>(xa * c - xb * s);
          b = static_cast<float>(xb * c + xa * s);
        }
      }
    }
  });
}

}  // namespace citius::ref
