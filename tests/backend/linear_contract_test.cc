// The fast products bit for bit as contract/linear.h tells them, restated one number at a time, and the same bits on every instruction set
// of which it promises them.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "backend/contract/linear.h"
#include "backend/linear_test_util.h"

namespace citius::cpu {
namespace {

class LinearContractTest : public LinearTest {};
INSTANTIATE_TEST_SUITE_P(Isa, LinearContractTest, testing::ValuesIn(isas()), [](const auto& param) { return param.param; });

// fma(), or what an instruction set does that lacks it.
class Arithmetic {
 public:
  explicit Arithmetic(const std::string& isa) : fused_(isa != "portable" || kPortableFuses) {}
  bool fused() const { return fused_; }
  float fma(float a, float b, float c) const { return fused_ ? std::fma(a, b, c) : a * b + c; }

 private:
#if defined(__aarch64__)
  static constexpr bool kPortableFuses = true;
#else
  static constexpr bool kPortableFuses = false;
#endif
  bool fused_;
};

// What a weight of the format is made of, of one group of inputs: w = scale · (code - zero) + min.
struct Group {
  float scale = 0, min = 0;
  int zero = 0;
  std::vector<int> codes;
};

float half_at(const std::byte* bytes) {
  uint16_t half = 0;
  std::memcpy(&half, bytes, 2);
  return f16_to_f32(half);
}

Group group_of(Format format, const std::byte* block) {
  Group group;
  group.scale = half_at(block);
  const auto byte = [&](size_t i) { return static_cast<int>(block[i]); };
  const auto nibbles = [&](size_t from, size_t count) {
    for (size_t i = 0; i < count; ++i) group.codes.push_back(byte(from + i) & 15);
    for (size_t i = 0; i < count; ++i) group.codes.push_back(byte(from + i) >> 4);
  };
  switch (format) {
    case Format::kQ4_1:
      group.min = half_at(block + 2);
      nibbles(4, 16);
      break;
    case Format::kInt4ZG64:
      group.zero = byte(2);
      nibbles(3, 32);
      break;
    default:  // Q8_0
      for (size_t i = 0; i < 32; ++i) group.codes.push_back(static_cast<int8_t>(byte(2 + i)));
      break;
  }
  return group;
}

// One output for one row of x [K].
float restated(const Fixture& f, int64_t n, const float* x, const Arithmetic& arithmetic) {
  const int64_t size = format_block_elements(f.format);
  const std::byte* block = f.bytes.data() + static_cast<size_t>(n) * format_row_bytes(f.format, f.K);
  float acc = 0;
  for (int64_t k = 0; k < f.K; k += size, block += format_row_bytes(f.format, size)) {
    const Group group = group_of(f.format, block);
    float most = 0;
    for (int64_t i = k; i < k + size; ++i) most = std::max(most, std::fabs(x[i]));
    const float x_scale = most / 127.0f, inverse = most > 0 ? 127.0f / most : 0.0f;
    int sum = 0, of_x = 0;
    for (int64_t i = 0; i < size; ++i) {
      const int q = static_cast<int>(std::nearbyint(x[k + i] * inverse));
      sum += q * group.codes[static_cast<size_t>(i)];
      of_x += q;
    }
    acc = arithmetic.fma(static_cast<float>(sum - group.zero * of_x), group.scale * x_scale, acc);
    if (has_mins(f.format)) acc = arithmetic.fma(static_cast<float>(of_x) * x_scale, group.min, acc);
  }
  return acc;
}

// A format that is symmetric, one with a minimum, one with a zero.
TEST_P(LinearContractTest, IntegersAreSummedAsTheContractTells) {
  const Arithmetic arithmetic(GetParam());
  for (const Format format : {Format::kQ8_0, Format::kQ4_1, Format::kInt4ZG64}) {
    for (const int64_t blocks : {1, 2, 17}) {
      const Fixture f(format, 35, odd_width(format, blocks), 9);
      const auto weight = f.pack(linear_);
      for (const int64_t T : {1, 9, 40}) {
        std::vector<float> x = random_floats(T * f.K, 13);
        std::fill_n(x.begin() + (T - 1) * f.K, format_block_elements(format), 0.0f);
        const std::vector<float> y = multiply(linear_, *weight, x, T, Compute::kFast);
        for (int64_t i = 0; i < T * f.N; ++i) {
          ASSERT_EQ(y[static_cast<size_t>(i)], restated(f, i % f.N, x.data() + i / f.N * f.K, arithmetic))
              << format_name(format) << " " << f.K << " token " << i / f.N << " of " << T << " output " << i % f.N;
        }
      }
    }
  }
}

// Pair by pair, the second number first.
TEST_P(LinearContractTest, Bf16IsSummedAsTheContractTells) {
  if (GetParam() == "avx512_amx") GTEST_SKIP() << "sums of 32 inputs: Amx.Bf16IsSummedAsTheContractTells";
  const Arithmetic arithmetic(GetParam());
  for (const int64_t K : {1, 31, 32, 77, 256}) {
    const Fixture f(Format::kBF16, 35, K, 9);
    const auto weight = f.pack(linear_);
    for (const int64_t T : {1, 9, 40}) {
      const std::vector<float> x = random_floats(T * K, 13);
      const std::vector<float> y = multiply(linear_, *weight, x, T, Compute::kFast);
      for (int64_t t = 0; t < T; ++t) {
        for (int64_t n = 0; n < f.N; ++n) {
          float sum = 0;
          const auto add = [&](int64_t k) {
            if (k >= K) return;
            sum =
                arithmetic.fma(bf16_to_f32(f32_to_bf16(x[static_cast<size_t>(t * K + k)])), f.weights[static_cast<size_t>(n * K + k)], sum);
          };
          for (int64_t k = 0; k < K; k += 2) {
            add(k + 1);
            add(k);
          }
          ASSERT_EQ(y[static_cast<size_t>(t * f.N + n)], sum) << "K " << K << " token " << t << " output " << n;
        }
      }
    }
  }
}

TEST_P(LinearContractTest, FastProductsHaveTheSameBitsOnEveryInstructionSet) {
  if (!Arithmetic(GetParam()).fused()) GTEST_SKIP() << "rounds twice where others round once";
  const Target& other = choose_target(isas().front());  // the best of this machine
  CpuLinear best(one_, other);
  for (const Format format : all_formats()) {
    if (format == Format::kBF16 && (other.name == "avx512_amx") != (target_.name == "avx512_amx")) continue;  // its own order of sums
    const Fixture f(format, 53, odd_width(format, 3), 5);
    const auto weight = f.pack(linear_), same = f.pack(best);
    for (const int64_t T : {1, 20}) {
      const std::vector<float> x = random_floats(T * f.K, 7);
      ASSERT_EQ(multiply(linear_, *weight, x, T, Compute::kFast), multiply(best, *same, x, T, Compute::kFast))
          << format_name(format) << " on " << target_.name << " and " << other.name;
    }
  }
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

// So few outputs that threads divide rows in parts of up to 32, which are read as they lie from a row on that is not the first.
TEST(Amx, PartsOfTheRowsHaveTheBitsOfTheVectorKernels) {
  const Target *amx = target_named("avx512_amx"), *vectors = target_named("avx512_bf16");
  if (amx == nullptr) GTEST_SKIP() << "this machine has no AMX";
  ThreadPool pool(3), one(1);
  CpuLinear by_registers(pool, *amx), by_vectors(one, *vectors);
  for (const Format format : {Format::kQ8_0, Format::kInt8G128, Format::kQ4_0, Format::kInt8}) {
    const Fixture f(format, 16, 512, 3);
    const auto weight = f.pack(by_registers), same = f.pack(by_vectors);
    for (const int64_t T : {64, 75, 96}) {
      const std::vector<float> x = random_floats(T * f.K, 5);
      const std::vector<float> y = multiply(by_registers, *weight, x, T, Compute::kFast);
      const std::vector<float> want = multiply(by_vectors, *same, x, T, Compute::kFast);
      ASSERT_EQ(std::memcmp(y.data(), want.data(), y.size() * 4), 0) << format_name(format) << " with " << T << " rows";
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

}  // namespace
}  // namespace citius::cpu
