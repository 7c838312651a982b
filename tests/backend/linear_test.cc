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

#include "backend/cpu/op_tasks.h"
#include "backend/linear_test_util.h"
#include "base/error.h"

namespace citius::cpu {
namespace {

INSTANTIATE_TEST_SUITE_P(Isa, LinearTest, testing::ValuesIn(isas()), [](const auto& param) { return param.param; });

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

// The most inputs that an int32 accumulator takes: 128 · 127 · 2^17 is just below 2^31.
TEST_P(LinearTest, WidestWeightDoesNotOverflow) {
  for (const Format format : {Format::kInt8, Format::kInt7}) {
    for (const int64_t K : {kMaxCols, kMaxCols - 1}) {
      const int64_t N = 3;
      const std::vector<std::byte> any = random_matrix(format, N, K, 3);
      for (const int code : {0x7f, 0x80}) {
        const Fixture f(format, N, K, with_codes(format, any, N, K, static_cast<std::byte>(code)));
        const auto weight = f.pack(linear_);
        const int64_t value = format == Format::kInt7 ? (code == 0x7f ? 63 : -63) : static_cast<int8_t>(code);
        for (const int64_t T : {1, 12}) {
          for (const float sign : {1.0f, -1.0f}) {
            const std::vector<float> x(static_cast<size_t>(T * K), sign);
            const std::vector<float> y = multiply(linear_, *weight, x, T, Compute::kFast);
            const auto sum = static_cast<float>(value * 127 * K * static_cast<int64_t>(sign));
            for (int64_t i = 0; i < T * N; ++i) {
              float scale = 0;
              std::memcpy(&scale, f.bytes.data() + static_cast<size_t>(i % N) * format_row_bytes(format, K), 4);
              ASSERT_EQ(y[static_cast<size_t>(i)], sum * (scale * (1.0f / 127.0f))) << format_name(format) << " " << K << " " << code;
            }
          }
        }
      }
    }
  }
}

TEST_P(LinearTest, RefusesWeightsThatAreTooWide) {
  const int64_t N = 16, K = kMaxCols + 32;
  const std::vector<std::byte> bytes = random_matrix(Format::kInt8, N, K, 1);
  const OwnedMatrix part = owned(Format::kInt8, N, K, bytes);
  EXPECT_THROW(linear_.pack({&part, 1}), Error);
  AlignedBuffer memory(packed_bytes(Format::kInt8, N, K));
  const std::span<const std::byte> packed(reinterpret_cast<const std::byte*>(memory.data()), memory.bytes());
  EXPECT_EQ(linear_.adopt({Format::kInt8, N, K}, packed, nullptr), nullptr);
}

TEST_P(LinearTest, AdoptsOnlyWhatPackCouldHaveGiven) {
  const Fixture f(Format::kQ8_0, 20, 64, 1);
  const auto weight = f.pack(linear_);
  const MatrixSize size{Format::kQ8_0, 20, 64};
  const size_t bytes = weight->packed().size();
  AlignedBuffer memory(bytes + 64);
  std::memcpy(memory.data(), weight->packed().data(), bytes);
  const std::span<const std::byte> all(reinterpret_cast<const std::byte*>(memory.data()), bytes + 64);
  const auto same = linear_.adopt(size, all.first(bytes), nullptr);
  ASSERT_NE(same, nullptr);
  const std::vector<float> x = random_floats(64, 2);
  EXPECT_EQ(multiply(linear_, *same, x, 1, Compute::kFast), multiply(linear_, *weight, x, 1, Compute::kFast));
  EXPECT_EQ(linear_.adopt(size, all.first(bytes - 1), nullptr), nullptr);
  EXPECT_EQ(linear_.adopt(size, all.subspan(4, bytes), nullptr), nullptr);  // not aligned
  EXPECT_EQ(linear_.adopt({Format::kQ8_0, 20, 0}, all.first(0), nullptr), nullptr);
  EXPECT_EQ(linear_.adopt({Format::kQ8_0, -16, 64}, all.first(bytes), nullptr), nullptr);
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
        for (CpuLinear* linear : {&linear_, &halved_, &threaded_}) {
          if (linear != &linear_ && T > 1 && T % 16 != 1 && T < 100) continue;
          const std::vector<float> y = multiply(*linear, *weight, some, T, compute);
          ASSERT_EQ(std::memcmp(y.data(), single.data(), y.size() * 4), 0) << format_name(format) << " with " << T << " rows, "
                                                                           << (linear == &linear_   ? 1
                                                                               : linear == &halved_ ? 2
                                                                                                    : 3)
                                                                           << " threads";
        }
      }
    }
  }
}

// So few outputs that threads divide the rows: parts that do not begin with the first, of two tiles and of one.
TEST_P(LinearTest, SameBitsForPartsOfRows) {
  for (const Format format : all_formats()) {
    for (const int64_t N : {20, 9}) {
      const Fixture f(format, N, odd_width(format, format_block_elements(format) < 256 ? 5 : 3), 3);
      const auto weight = f.pack(linear_);
      for (const int64_t T : {64, 75, 95}) {
        const std::vector<float> x = random_floats(T * f.K, 11);
        std::vector<float> want;
        for (int64_t t = 0; t < T; ++t) {
          const std::vector<float> row(x.begin() + t * f.K, x.begin() + (t + 1) * f.K);
          const std::vector<float> single = multiply(linear_, *weight, row, 1, Compute::kFast);
          want.insert(want.end(), single.begin(), single.end());
        }
        for (CpuLinear* linear : {&halved_, &threaded_}) {
          const std::vector<float> y = multiply(*linear, *weight, x, T, Compute::kFast);
          ASSERT_EQ(std::memcmp(y.data(), want.data(), want.size() * 4), 0) << format_name(format) << " with " << T << " rows of " << N;
        }
      }
    }
  }
}

// Weights so heavy that threads divide outputs with many rows too, and parts of the rows that kernels take in several blocks.
TEST_P(LinearTest, ManyRowsHaveTheSameBitsHoweverTheyAreDivided) {
  struct Product {
    int64_t rows, outputs, inputs;
    std::vector<Format> formats;
  };
  for (const Product& p : {Product{128, 1100, 1160, {Format::kF32, Format::kBF16}},
                           {600, 48, 64, {Format::kF32, Format::kBF16, Format::kInt8, Format::kQ8_0}}}) {
    for (const Format format : p.formats) {
      const Fixture f(format, p.outputs, p.inputs, 3);
      const auto weight = f.pack(linear_);
      const std::vector<float> x = random_floats(p.rows * p.inputs, 11);
      const std::vector<float> want = multiply(linear_, *weight, x, p.rows, Compute::kFast);
      for (CpuLinear* linear : {&halved_, &threaded_}) {
        const std::vector<float> y = multiply(*linear, *weight, x, p.rows, Compute::kFast);
        ASSERT_EQ(std::memcmp(y.data(), want.data(), y.size() * 4), 0) << format_name(format) << " " << p.outputs << " x " << p.inputs;
      }
    }
  }
}

// Threads are woken where there is enough to do for two: many outputs, or many rows however few the outputs.
TEST_P(LinearTest, SmallProductsStayOnOneThread) {
  struct Product {
    int64_t rows, outputs, inputs;
    bool shared;
  };
  for (const Product& p : {Product{1, 32, 256, false},
                           {1, 9, 8192, false},
                           {1, 256, 256, true},
                           {63, 9, 4096, false},
                           {64, 9, 256, true},
                           {512, 16, 64, true},
                           {64, 9, 32, false}}) {
    for (const Format format : {Format::kF32, Format::kInt8, Format::kQ8_0}) {
      const Fixture f(format, p.outputs, p.inputs, 1);
      const auto weight = f.pack(linear_);
      const std::vector<float> x = random_floats(p.rows * p.inputs, 2);
      const uint32_t before = two_.num_shared_loops();
      multiply(halved_, *weight, x, p.rows, Compute::kFast);
      EXPECT_EQ(two_.num_shared_loops() > before, p.shared) << p.rows << " rows of " << p.outputs << " x " << p.inputs;
    }
  }
}

TEST_P(LinearTest, NoRowsAndNoOutputs) {
  for (const Format format : {Format::kF32, Format::kInt8, Format::kQ8_0}) {
    const Fixture f(format, 20, 64, 1), none(format, 0, 64, 1);
    EXPECT_TRUE(multiply(halved_, *f.pack(linear_), {}, 0, Compute::kFast).empty());
    EXPECT_TRUE(multiply(halved_, *none.pack(linear_), random_floats(3 * 64, 2), 3, Compute::kFast).empty());
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

TEST(Target, RefusesUnknownNames) { EXPECT_ANY_THROW(choose_target("avx9000")); }

}  // namespace
}  // namespace citius::cpu
