// Helpers of the tests of products: random matrices of every format, the sums that they stand for, products with 1, 2 and 3 threads.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backend/cpu/linear.h"
#include "tensor/float_types.h"

namespace citius::cpu {

inline std::vector<float> random_floats(int64_t count, uint32_t seed, float spread = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

// Where a block of the format keeps its f16 scales; random bits elsewhere make every code and 6-bit scale occur.
inline std::vector<size_t> half_offsets(Format format) {
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
inline std::vector<std::byte> random_matrix(Format format, int64_t rows, int64_t cols, uint32_t seed) {
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

inline OwnedMatrix owned(Format format, int64_t rows, int64_t cols, const std::vector<std::byte>& bytes) {
  return {{format, rows, cols, bytes.data()}, nullptr};
}

struct Part {
  size_t from, to;
};

// The bytes of a block that hold codes, and nothing else.
inline Part code_bytes(Format format) {
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
inline std::vector<std::byte> with_codes(Format format, std::vector<std::byte> bytes, int64_t rows, int64_t cols, std::byte code) {
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

inline bool has_mins(Format format) {
  switch (format) {
    case Format::kQ4_1:
    case Format::kQ5_1:
    case Format::kQ2K:
    case Format::kQ4K:
    case Format::kQ5K: return true;
    default: return false;
  }
}

inline std::vector<float> decoded(Format format, const std::vector<std::byte>& bytes, int64_t rows, int64_t cols) {
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

inline std::vector<float> multiply(CpuLinear& linear, const PackedWeight& weight, const std::vector<float>& x, int64_t T, Compute compute) {
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
inline std::vector<double> prepared(const std::vector<float>& x, int64_t T, int64_t K, Format format, Compute compute) {
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
inline void expect_near(const Fixture& f, const std::vector<float>& x, int64_t T, Compute compute, const std::vector<float>& y) {
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

inline int64_t odd_width(Format format, int64_t blocks) {
  const int64_t block = format_block_elements(format);
  return block == 1 ? blocks * 37 : block * blocks;
}

class LinearTest : public testing::TestWithParam<std::string> {
 protected:
  ThreadPool one_{1}, two_{2}, three_{3};
  const Target& target_ = choose_target(GetParam());
  CpuLinear linear_{one_, target_}, halved_{two_, target_}, threaded_{three_, target_};
};

inline std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (const Target& target : available_targets()) names.emplace_back(target.name);
  return names;
}

// Null where this machine lacks it.
inline const Target* target_named(std::string_view name) {
  const auto known = isas();
  return std::ranges::find(known, name) != known.end() ? &choose_target(name) : nullptr;
}

}  // namespace citius::cpu
