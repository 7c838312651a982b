// Linear on the CPU, over instruction sets, weight formats and odd sizes: against a sum in double precision with a tolerance
// derived from the magnitudes of the terms, and bit for bit against one row at a time and one thread.
#include "backend/contract/linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "backend/cpu/linear.h"
#include "backend/cpu/op_tasks.h"
#include "tensor/float_types.h"

namespace citius::cpu {
namespace {

struct Case {
  int64_t rows, outputs, inputs;
};

std::vector<float> random_floats(int64_t count, uint32_t seed, float spread = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

// Where a block of the format keeps its f16 scales; random bits elsewhere make every code and 6-bit scale occur.
std::vector<size_t> half_offsets(Format format) {
  switch (format) {
    case Format::kQ2K: return {80, 82};
    case Format::kQ3K: return {108};
    case Format::kQ6K: return {208};
    case Format::kQ4_1:
    case Format::kQ5_1:
    case Format::kQ4K:
    case Format::kQ5K: return {0, 2};
    case Format::kMXFP4: return {};
    default: return {0};
  }
}

// Random valid bytes of a matrix.
std::vector<std::byte> random_matrix(Format format, int64_t rows, int64_t cols, uint32_t seed) {
  std::mt19937 random(seed);
  const size_t row_bytes = format_row_bytes(format, cols);
  std::vector<std::byte> bytes(static_cast<size_t>(rows) * row_bytes);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  std::uniform_real_distribution<float> scale(-0.05f, 0.05f);
  for (int64_t r = 0; r < rows; ++r) {
    std::byte* row = bytes.data() + static_cast<size_t>(r) * row_bytes;
    if (format_is_float(format)) {
      for (int64_t k = 0; k < cols; ++k) {
        const float value = scale(random);
        const uint16_t half = format == Format::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
        if (format == Format::kF32) {
          std::memcpy(row + k * 4, &value, 4);
        } else {
          std::memcpy(row + k * 2, &half, 2);
        }
      }
    } else if (format_is_per_row(format)) {
      const float value = scale(random);
      std::memcpy(row, &value, 4);
      for (size_t i = 4; format == Format::kInt7 && i < row_bytes; ++i) row[i] = static_cast<std::byte>(random() % 127 - 63);
    } else {
      const size_t block_bytes = format_row_bytes(format, format_block_elements(format));
      for (size_t at = 0; at < row_bytes; at += block_bytes) {
        for (const size_t offset : half_offsets(format)) {
          const uint16_t half = f32_to_f16(scale(random));
          std::memcpy(row + at + offset, &half, 2);
        }
        if (format == Format::kMXFP4) row[at] = static_cast<std::byte>(110 + random() % 20);
        if (format == Format::kInt4ZG32 || format == Format::kInt4ZG64 || format == Format::kInt4ZG128) {
          row[at + 2] = static_cast<std::byte>(random() % 16);
        }
      }
    }
  }
  return bytes;
}

OwnedMatrix owned(Format format, int64_t rows, int64_t cols, const std::vector<std::byte>& bytes) {
  return {{format, rows, cols, bytes.data()}, nullptr};
}

struct Part {
  size_t from, to;
};

// The bytes of a block that hold codes, and nothing else.
Part code_bytes(Format format) {
  const size_t size = format_row_bytes(format, format_block_elements(format));
  switch (format) {
    case Format::kInt8:
    case Format::kInt7: return {4, size};
    case Format::kInt4ZG32:
    case Format::kInt4ZG64:
    case Format::kInt4ZG128: return {3, size};
    case Format::kQ4_1:
    case Format::kQ5_1: return {4, size};
    case Format::kQ2K: return {16, 80};
    case Format::kQ3K: return {0, 96};
    case Format::kQ4K:
    case Format::kQ5K: return {16, size};
    case Format::kQ6K: return {0, 192};
    case Format::kIQ4XS: return {8, size};
    case Format::kMXFP4: return {1, size};
    default: return {2, size};
  }
}

// The same matrix with every byte of its codes replaced.
std::vector<std::byte> with_codes(Format format, std::vector<std::byte> bytes, int64_t rows, int64_t cols, std::byte code) {
  const Part part = code_bytes(format);
  const size_t row_bytes = format_row_bytes(format, cols);
  if (format == Format::kInt7) code = static_cast<std::byte>(std::clamp(static_cast<int>(static_cast<int8_t>(code)), -63, 63));
  const size_t block = format_is_per_row(format) ? row_bytes : format_row_bytes(format, format_block_elements(format));
  const size_t end = format_is_per_row(format) ? row_bytes : part.to;
  for (size_t at = 0; at < row_bytes * static_cast<size_t>(rows); at += block) {
    for (size_t i = part.from; i < end; ++i) bytes[at + i] = code;
  }
  return bytes;
}

bool has_mins(Format format) {
  switch (format) {
    case Format::kQ4_1:
    case Format::kQ5_1:
    case Format::kQ2K:
    case Format::kQ4K:
    case Format::kQ5K: return true;
    default: return false;
  }
}

std::vector<float> decoded(Format format, const std::vector<std::byte>& bytes, int64_t rows, int64_t cols) {
  std::vector<float> weights(static_cast<size_t>(rows * cols));
  const EncodedMatrix matrix{format, rows, cols, bytes.data()};
  for (int64_t n = 0; n < rows; ++n) decode_row(format, matrix.row(n), cols, weights.data() + n * cols);
  return weights;
}

struct Fixture {
  Format format;
  int64_t N, K;
  std::vector<std::byte> bytes;
  std::vector<float> weights;  // [N, K]
  std::vector<float> mins;     // what is left of each weight where its code is 0; empty for formats without mins

  Fixture(Format f, int64_t outputs, int64_t inputs, uint32_t seed)
      : Fixture(f, outputs, inputs, random_matrix(f, outputs, inputs, seed)) {}
  Fixture(Format f, int64_t outputs, int64_t inputs, std::vector<std::byte> matrix)
      : format(f), N(outputs), K(inputs), bytes(std::move(matrix)), weights(decoded(f, bytes, N, K)) {
    if (has_mins(f)) mins = decoded(f, with_codes(f, bytes, N, K, std::byte{0}), N, K);
  }
  std::unique_ptr<PackedWeight> pack(CpuLinear& linear) const {
    const OwnedMatrix part = owned(format, N, K, bytes);
    return linear.pack({&part, 1});
  }
};

std::vector<float> multiply(CpuLinear& linear, const PackedWeight& weight, const std::vector<float>& x, int64_t T, Compute compute) {
  std::vector<float> xs = x;
  std::vector<float> y(static_cast<size_t>(T * weight.rows()), -1.0f);
  LinearArgs args;
  args.input = TensorView(xs.data(), DType::kF32, {T, weight.cols()});
  args.y = TensorView(y.data(), DType::kF32, {T, weight.rows()});
  args.weight = &weight;
  args.compute = compute;
  linear.run(args);
  return y;
}

// x as the fast mode of the format sees it.
std::vector<double> prepared(const std::vector<float>& x, int64_t T, int64_t K, Format format, Compute compute) {
  const ActivationFormat activation = compute == Compute::kFast ? format_activation(format) : ActivationFormat::kF32;
  std::vector<double> out(x.begin(), x.end());
  if (activation == ActivationFormat::kBF16) {
    for (size_t i = 0; i < x.size(); ++i) out[i] = bf16_to_f32(f32_to_bf16(x[i]));
  } else if (activation != ActivationFormat::kF32) {
    const int64_t group = activation == ActivationFormat::kInt8PerToken ? K : static_cast<int64_t>(activation);
    for (int64_t begin = 0; begin < T * K; begin += group) {
      float most = 0;
      for (int64_t i = begin; i < begin + group; ++i) most = std::max(most, std::fabs(x[static_cast<size_t>(i)]));
      for (int64_t i = begin; i < begin + group && most > 0; ++i) {
        const float q = std::nearbyint(x[static_cast<size_t>(i)] * (127.0f / most));
        out[static_cast<size_t>(i)] = double{q} * double{most / 127.0f};
      }
    }
  }
  return out;
}

// Every fp32 step rounds by at most half a unit of the sum of magnitudes so far, and each scale product and conversion by
// one more: (K + 8) · 2^-24 · Σ |x · w| bounds the sum whatever the grouping. Formats with mins are sums of two parts that
// may cancel: there |w| is |scale · code| + |min|.
void expect_near(const Fixture& f, const std::vector<float>& x, int64_t T, Compute compute, const std::vector<float>& y) {
  const std::vector<double> in = prepared(x, T, f.K, f.format, compute);
  for (int64_t t = 0; t < T; ++t) {
    for (int64_t n = 0; n < f.N; ++n) {
      double sum = 0, magnitude = 0;
      for (int64_t k = 0; k < f.K; ++k) {
        const auto at = static_cast<size_t>(n * f.K + k);
        const double input = in[static_cast<size_t>(t * f.K + k)], weight = f.weights[at];
        sum += input * weight;
        const double min = f.mins.empty() ? 0.0 : f.mins[at];
        magnitude += std::fabs(input) * (std::fabs(weight - min) + std::fabs(min));
      }
      const double tolerance = static_cast<double>(f.K + 8) * 0x1p-24 * magnitude + 1e-30;
      ASSERT_NEAR(y[static_cast<size_t>(t * f.N + n)], sum, tolerance)
          << format_name(f.format) << " token " << t << " output " << n << " of " << f.N << " x " << f.K;
    }
  }
}

class LinearTest : public testing::TestWithParam<std::string> {
 protected:
  ThreadPool one_{1}, three_{3};
  const Target& target_ = choose_target(GetParam());
  CpuLinear linear_{one_, target_}, threaded_{three_, target_};
};

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const Target& target : available_targets()) names.emplace_back(target.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Isa, LinearTest, testing::ValuesIn(isas()), [](const auto& param) { return param.param; });

int64_t odd_width(Format format, int64_t blocks) {
  const int64_t block = format_block_elements(format);
  return block == 1 ? blocks * 37 : block * blocks;
}

// Sums inside a group are integers that must fit their registers even if every code and every activation is the largest.
TEST_P(LinearTest, LargestCodesDoNotOverflow) {
  for (const Format format : all_formats()) {
    if (format_is_float(format)) continue;
    const int64_t N = 16, K = odd_width(format, 2);
    // 0x77: the largest value of MXFP4 in both nibbles; 0x7f and 0x80: of int8.
    for (const int code : {0x00, 0x77, 0x7f, 0x80, 0xff}) {
      const std::vector<std::byte> any = random_matrix(format, N, K, 3);
      const Fixture f(format, N, K, with_codes(format, any, N, K, static_cast<std::byte>(code)));
      const auto weight = f.pack(linear_);
      for (const int64_t T : {1, 8, 12}) {
        for (const float sign : {1.0f, -1.0f}) {
          const std::vector<float> x(static_cast<size_t>(T * K), sign);
          expect_near(f, x, T, Compute::kFast, multiply(linear_, *weight, x, T, Compute::kFast));
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST_P(LinearTest, MatchesDoubleSums) {
  for (const Format format : all_formats()) {
    for (const int64_t blocks : {1, 3, 5, 17}) {  // 17: more inputs than are unpacked at once
      for (const int64_t N : {1, 16, 53}) {
        if (blocks == 17 && (N != 53 || format_block_elements(format) > 32)) continue;
        const Fixture f(format, N, odd_width(format, blocks), static_cast<uint32_t>(N));
        const auto weight = f.pack(linear_);
        for (const int64_t T : {1, 3, 11}) {
          const std::vector<float> x = random_floats(T * f.K, 7);
          for (const Compute compute : {Compute::kFast, Compute::kExact}) {
            expect_near(f, x, T, compute, multiply(linear_, *weight, x, T, compute));
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST_P(LinearTest, SameBitsForAnyNumberOfRowsAndThreads) {
  constexpr int64_t kMost = 512, kOutputs = 115;
  std::vector<int64_t> counts;
  for (int64_t T = 1; T <= 64; ++T) counts.push_back(T);
  if (GetParam() == "portable") counts.resize(12);  // slow, and the same code for any number of rows
  counts.insert(counts.end(), {127, 211, 257, 300, 512});
  for (const Format format : all_formats()) {
    const Fixture f(format, kOutputs, odd_width(format, format_block_elements(format) < 256 ? 5 : 3), 3);
    const auto weight = f.pack(linear_);
    const std::vector<float> x = random_floats(kMost * f.K, 11);
    for (const Compute compute : {Compute::kFast, Compute::kExact}) {
      std::vector<float> single;
      for (int64_t t = 0; t < kMost; ++t) {
        const std::vector<float> row(x.begin() + t * f.K, x.begin() + (t + 1) * f.K);
        const std::vector<float> y = multiply(linear_, *weight, row, 1, compute);
        single.insert(single.end(), y.begin(), y.end());
      }
      for (const int64_t T : counts) {
        const std::vector<float> some(x.begin(), x.begin() + T * f.K);
        for (CpuLinear* linear : {&linear_, &threaded_}) {
          if (linear == &threaded_ && T > 1 && T % 16 != 1 && T < 100) continue;
          const std::vector<float> y = multiply(*linear, *weight, some, T, compute);
          ASSERT_EQ(std::memcmp(y.data(), single.data(), y.size() * 4), 0)
              << format_name(format) << " with " << T << " rows, " << (linear == &linear_ ? "one thread" : "three threads");
        }
      }
    }
  }
}

// So few outputs that threads divide the rows: parts that do not begin with the first.
TEST_P(LinearTest, SameBitsForPartsOfRows) {
  for (const Format format : all_formats()) {
    const Fixture f(format, 20, odd_width(format, format_block_elements(format) < 256 ? 5 : 3), 3);
    const auto weight = f.pack(linear_);
    for (const int64_t T : {64, 75, 95}) {
      const std::vector<float> x = random_floats(T * f.K, 11);
      const std::vector<float> y = multiply(threaded_, *weight, x, T, Compute::kFast);
      for (int64_t t = 0; t < T; ++t) {
        const std::vector<float> row(x.begin() + t * f.K, x.begin() + (t + 1) * f.K);
        const std::vector<float> single = multiply(linear_, *weight, row, 1, Compute::kFast);
        ASSERT_EQ(std::memcmp(y.data() + t * f.N, single.data(), single.size() * 4), 0)
            << format_name(format) << " row " << t << " of " << T;
      }
    }
  }
}

TEST_P(LinearTest, DecodesExactly) {
  for (const Format format : all_formats()) {
    const Fixture f(format, 35, odd_width(format, 5), 23);
    const auto weight = f.pack(threaded_);
    std::vector<float> row(static_cast<size_t>(f.K));
    for (int64_t n = 0; n < f.N; ++n) {
      weight->decode(n, row.data());
      ASSERT_EQ(std::memcmp(row.data(), f.weights.data() + n * f.K, row.size() * 4), 0) << format_name(format) << " " << n;
    }
  }
}

TEST_P(LinearTest, FusesBiasActivationAndResidual) {
  constexpr int64_t T = 9, N = 41, K = 64;
  const Fixture f(Format::kF32, N, K, 5);
  const auto weight = f.pack(linear_);
  const std::vector<float> x = random_floats(T * K, 1, 6.0f), bias = random_floats(N, 2), residual = random_floats(T * N, 3);
  const std::vector<float> plain = multiply(linear_, *weight, x, T, Compute::kFast);
  const auto expected = [](ActivationKind kind, double v) {
    switch (kind) {
      case ActivationKind::kRelu: return v > 0 ? v : 0;
      case ActivationKind::kGelu: return 0.5 * v * (1 + std::erf(v / std::sqrt(2.0)));
      case ActivationKind::kGeluTanh: return 0.5 * v * (1 + std::tanh(std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v)));
      case ActivationKind::kQuickGelu: return v / (1 + std::exp(-1.702 * v));
      case ActivationKind::kSilu: return v / (1 + std::exp(-v));
      case ActivationKind::kTanh: return std::tanh(v);
      case ActivationKind::kSigmoid: return 1 / (1 + std::exp(-v));
      default: return v;
    }
  };
  for (int kind = 0; kind <= static_cast<int>(ActivationKind::kSigmoid); ++kind) {
    // In place over the residual, as models do; rows wider than the product.
    std::vector<float> xs = x, y(T * (N + 3), 9.0f);
    for (int64_t t = 0; t < T; ++t) std::copy_n(residual.begin() + t * N, N, y.begin() + t * (N + 3));
    LinearArgs args;
    args.input = TensorView(xs.data(), DType::kF32, {T, K});
    args.y = TensorView(y.data(), DType::kF32, {T, N});
    args.y.stride = N + 3;
    args.residual = args.y;
    args.weight = weight.get();
    args.bias = bias.data();
    args.activation = static_cast<ActivationKind>(kind);
    linear_.run(args);
    for (int64_t t = 0; t < T; ++t) {
      for (int64_t n = 0; n < N; ++n) {
        const double sum = double{plain[static_cast<size_t>(t * N + n)] + bias[static_cast<size_t>(n)]};
        const double want = expected(args.activation, sum) + double{residual[static_cast<size_t>(t * N + n)]};
        ASSERT_NEAR(y[static_cast<size_t>(t * (N + 3) + n)], want, 4e-7 * (1 + std::fabs(sum) + std::fabs(want)))
            << "activation " << kind << " of " << sum;
      }
      for (int64_t n = N; n < N + 3; ++n) ASSERT_EQ(y[static_cast<size_t>(t * (N + 3) + n)], 9.0f);
    }
  }
}

// In place over the residual with any number of rows: no row may be finished twice.
TEST_P(LinearTest, AddsTheResidualOnce) {
  for (const Format format : {Format::kF32, Format::kBF16, Format::kInt8, Format::kQ8_0}) {
    const Fixture f(format, 41, 64, 5);
    const auto weight = f.pack(linear_);
    for (const int64_t T : {2, 17, 35, 300}) {
      std::vector<float> x = random_floats(T * f.K, 1);
      const std::vector<float> plain = multiply(linear_, *weight, x, T, Compute::kFast), residual = random_floats(T * f.N, 3);
      std::vector<float> y = residual;
      LinearArgs args;
      args.input = TensorView(x.data(), DType::kF32, {T, f.K});
      args.y = args.residual = TensorView(y.data(), DType::kF32, {T, f.N});
      args.weight = weight.get();
      linear_.run(args);
      for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(y[i], plain[i] + residual[i]) << format_name(format) << " with " << T << " rows";
    }
  }
}

// Inputs that a product computes itself have the bits that the ops would have given it.
TEST_P(LinearTest, ComputedInputsAreThoseOfTheOps) {
  constexpr int64_t kMost = 70, kGap = 5;
  for (const Format format : all_formats()) {
    const Fixture f(format, 53, odd_width(format, format_block_elements(format) < 256 ? 5 : 3), 3);  // 63 rows: prepared by all threads
    const auto weight = f.pack(linear_);
    std::vector<float> x = random_floats(kMost * (f.K + kGap), 1), up = random_floats(kMost * f.K, 2);
    const std::vector<float> scale = random_floats(f.K, 3), shift = random_floats(f.K, 4);
    for (const int64_t T : {1, 2, 7, 33, 63, 70}) {
      TensorView input(x.data(), DType::kF32, {T, f.K});
      input.stride = f.K + kGap;
      const TensorView other(up.data(), DType::kF32, {T, f.K});
      const NormWeights layer_norm{NormKind::kLayerNorm, scale, shift, 1e-5f}, rms_norm{NormKind::kRmsNorm, scale, {}, 1e-5f};
      for (const LinearInput& fused :
           {LinearInput(input, layer_norm), LinearInput(input, rms_norm), LinearInput(input, other, ActivationKind::kSilu)}) {
        std::vector<float> computed(static_cast<size_t>(T * f.K));
        const TensorView result(computed.data(), DType::kF32, {T, f.K});
        if (fused.norm) {
          NormTask task = norm_task(input, *fused.norm, result);
          task.end = T;
          target_.ops->norm(task);
        } else {
          PointwiseTask task = pointwise_task(input, other, result, fused.gate);
          task.end = T;
          target_.ops->gated(task);
        }
        for (const Compute compute : {Compute::kFast, Compute::kExact}) {
          const std::vector<float> want = multiply(linear_, *weight, computed, T, compute);
          for (CpuLinear* linear : {&linear_, &threaded_}) {
            std::vector<float> y(want.size());
            LinearArgs args;
            args.input = fused;
            args.y = TensorView(y.data(), DType::kF32, {T, f.N});
            args.weight = weight.get();
            args.compute = compute;
            linear->run(args);
            ASSERT_EQ(std::memcmp(y.data(), want.data(), y.size() * 4), 0) << format_name(format) << " with " << T << " rows";
          }
        }
      }
    }
  }
}

TEST_P(LinearTest, PartsAreStacked) {
  const Fixture a(Format::kInt8G32, 20, 96, 1), b(Format::kInt8G32, 7, 96, 2);
  const OwnedMatrix parts[] = {owned(a.format, a.N, a.K, a.bytes), owned(b.format, b.N, b.K, b.bytes)};
  const auto weight = linear_.pack(parts);
  ASSERT_EQ(weight->rows(), 27);
  std::vector<float> row(96);
  weight->decode(25, row.data());
  EXPECT_EQ(std::memcmp(row.data(), b.weights.data() + 5 * 96, 96 * 4), 0);
}

TEST_P(LinearTest, ResidentBytesAreThoseOfTheFile) {
  for (const Format format : all_formats()) {
    const Fixture f(format, 64, 512, 1);
    const auto weight = f.pack(linear_);
    EXPECT_LE(static_cast<double>(weight->bytes()), 1.05 * static_cast<double>(f.bytes.size())) << format_name(format);
  }
}

TEST_P(LinearTest, ZeroAndNanInputs) {
  for (const Format format : {Format::kBF16, Format::kInt8, Format::kInt7, Format::kQ8_0, Format::kQ4_1, Format::kInt4ZG32}) {
    const Fixture f(format, 33, 64, 1);
    const auto weight = f.pack(linear_);
    for (const int64_t T : {2, 3, 40}) {
      std::vector<float> x(static_cast<size_t>(T * 64), 0.0f);
      x[64 + 5] = std::nanf("");
      const std::vector<float> y = multiply(linear_, *weight, x, T, Compute::kFast);
      for (int64_t t = 0; t < T; ++t) {
        for (int64_t n = 0; n < 33; ++n) {
          const float value = y[static_cast<size_t>(t * 33 + n)];
          ASSERT_TRUE(t == 1 ? std::isnan(value) : value == 0.0f) << format_name(format) << " token " << t << " of " << T;
        }
      }
    }
  }
}

const Target* target_named(std::string_view name) {
  for (const Target& target : available_targets()) {
    if (target.name == name) return &target;
  }
  return nullptr;
}

// Sums of integers are exact whichever instructions add them.
TEST(Amx, IntegersHaveTheBitsOfTheVectorKernels) {
  const Target *amx = target_named("avx512_amx"), *vectors = target_named("avx512_bf16");
  if (amx == nullptr) GTEST_SKIP() << "this machine has no AMX";
  ThreadPool pool(1);
  CpuLinear by_registers(pool, *amx), by_vectors(pool, *vectors);
  for (const Format format : all_formats()) {
    if (format_activation(format) == ActivationFormat::kF32 || format_activation(format) == ActivationFormat::kBF16) continue;
    for (const int64_t blocks : {1, 2, 3, 5, 37}) {
      if (format_block_elements(format) == 256 && blocks > 3) continue;
      const Fixture f(format, 83, odd_width(format, blocks), 3);
      const auto weight = f.pack(by_registers), same = f.pack(by_vectors);
      for (const int64_t T : {3, 5, 8, 9, 16, 17, 31, 33, 47, 64, 300}) {
        const std::vector<float> x = random_floats(T * f.K, 5);
        const std::vector<float> y = multiply(by_registers, *weight, x, T, Compute::kFast);
        const std::vector<float> want = multiply(by_vectors, *same, x, T, Compute::kFast);
        ASSERT_EQ(std::memcmp(y.data(), want.data(), y.size() * 4), 0) << format_name(format) << " " << f.K << " with " << T << " rows";
      }
    }
  }
}

// contract/linear.h: in every 32 inputs the first and the second numbers of the pairs by themselves, what is left pair by pair.
TEST(Amx, Bf16IsSummedAsTheContractTells) {
  const Target* amx = target_named("avx512_amx");
  if (amx == nullptr) GTEST_SKIP() << "this machine has no AMX";
  ThreadPool pool(1);
  CpuLinear linear(pool, *amx);
  for (const int64_t K : {31, 32, 63, 77, 1024}) {
    const Fixture f(Format::kBF16, 35, K, 9);
    const auto weight = f.pack(linear);
    for (const int64_t T : {1, 20, 70}) {
      const std::vector<float> x = random_floats(T * K, 13);
      const std::vector<float> y = multiply(linear, *weight, x, T, Compute::kFast);
      const auto product = [&](int64_t t, int64_t n, int64_t k, float sum) {
        if (k >= K) return sum;
        return std::fma(bf16_to_f32(f32_to_bf16(x[static_cast<size_t>(t * K + k)])), f.weights[static_cast<size_t>(n * K + k)], sum);
      };
      for (int64_t t = 0; t < T; ++t) {
        for (int64_t n = 0; n < f.N; ++n) {
          float sum = 0;
          int64_t k = 0;
          for (; k + 32 <= K; k += 32) {
            float first = 0, second = 0;
            for (int64_t i = k; i < k + 32; i += 2) {
              first = product(t, n, i, first);
              second = product(t, n, i + 1, second);
            }
            sum += first + second;
          }
          for (; k < K; k += 2) sum = product(t, n, k, product(t, n, k + 1, sum));
          ASSERT_EQ(y[static_cast<size_t>(t * f.N + n)], sum) << "K " << K << " token " << t << " output " << n;
        }
      }
    }
  }
}

TEST(Target, RefusesUnknownNames) { EXPECT_ANY_THROW(choose_target("avx9000")); }

}  // namespace
}  // namespace citius::cpu
