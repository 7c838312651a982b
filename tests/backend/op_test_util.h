// Helpers of the op tests: random tensors with gaps between rows, backends of every instruction set, comparisons.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backend/backend.h"

namespace citius {

/// Half an ulp of 1: the largest relative error of one fp32 operation.
inline constexpr double kUnit = 1.0 / (1 << 24);

/// A [T, ...] fp32 tensor whose rows lie `gap` elements apart; the gaps are NaN, and check_gaps() tells whether they still are.
class TestTensor {
 public:
  TestTensor(Shape shape, int64_t gap = 0)
      : shape_(shape),
        stride_(shape.row_elements() + gap),
        values_(static_cast<size_t>(shape[0] * stride_) + 1, std::numeric_limits<float>::quiet_NaN()) {}

  static TestTensor random(Shape shape, uint32_t seed, float scale = 1, int64_t gap = 0) {
    TestTensor tensor(shape, gap);
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0, scale);
    for (int64_t t = 0; t < shape[0]; ++t) {
      for (int64_t i = 0; i < shape.row_elements(); ++i) tensor.at(t, i) = normal(generator);
    }
    return tensor;
  }

  TensorView view() {
    TensorView view(values_.data(), DType::kF32, shape_);
    view.stride = stride_;
    return view;
  }
  float& at(int64_t t, int64_t i) { return values_[static_cast<size_t>(t * stride_ + i)]; }
  float at(int64_t t, int64_t i) const { return values_[static_cast<size_t>(t * stride_ + i)]; }
  const Shape& shape() const { return shape_; }

  void check_gaps() const {
    for (int64_t t = 0; t < shape_[0]; ++t) {
      for (int64_t i = shape_.row_elements(); i < stride_; ++i) ASSERT_TRUE(std::isnan(at(t, i))) << t << " " << i;
    }
    ASSERT_TRUE(std::isnan(values_.back()));
  }

 private:
  Shape shape_;
  int64_t stride_;
  std::vector<float> values_;
};

/// Same bits everywhere.
inline ::testing::AssertionResult same_bits(const TestTensor& a, const TestTensor& b) {
  if (!(a.shape() == b.shape())) return ::testing::AssertionFailure() << "shapes differ";
  for (int64_t t = 0; t < a.shape()[0]; ++t) {
    for (int64_t i = 0; i < a.shape().row_elements(); ++i) {
      const float x = a.at(t, i), y = b.at(t, i);
      if (std::memcmp(&x, &y, sizeof(x)) != 0) {
        return ::testing::AssertionFailure() << "row " << t << ", element " << i << ": " << x << " and " << y;
      }
    }
  }
  return ::testing::AssertionSuccess();
}

/// |got - want| ≤ bound(t, i) everywhere.
template <typename Bound>
::testing::AssertionResult within(const TestTensor& got, const TestTensor& want, const Bound& bound) {
  for (int64_t t = 0; t < got.shape()[0]; ++t) {
    for (int64_t i = 0; i < got.shape().row_elements(); ++i) {
      const double difference = std::fabs(static_cast<double>(got.at(t, i)) - static_cast<double>(want.at(t, i)));
      const double limit = bound(t, i);
      if (!(difference <= limit)) {
        return ::testing::AssertionFailure() << "row " << t << ", element " << i << ": got " << got.at(t, i) << ", expected "
                                             << want.at(t, i) << ", difference " << difference << " above " << limit;
      }
    }
  }
  return ::testing::AssertionSuccess();
}

/// Tests that run once for every instruction set of this machine.
class IsaTest : public ::testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Backend> cpu(int num_threads = 2) const { return make_backend("cpu", {.num_threads = num_threads, .isa = GetParam()}); }
  static Backend& reference() {
    static const std::unique_ptr<Backend> backend = make_backend("ref", {.num_threads = 2, .isa = ""});
    return *backend;
  }
  /// Multiplies tolerances: a machine without fused multiply-add rounds twice.
  double rounding() const { return GetParam() == "portable" ? 2 : 1; }
};

#define CITIUS_FOR_EACH_ISA(suite) \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, ::testing::ValuesIn(available_isas()), [](const auto& info) { return info.param; })

}  // namespace citius
