// What is said to be fast, from measured rates: `doctor` and `quantize --list` ask the same function.
#include "eval/machine.h"

#include <gtest/gtest.h>

namespace citius {
namespace {

TEST(Machine, GainsByMeasuredRates) {
  MachineRates rates;
  EXPECT_FALSE(gains_arithmetic(rates, ActivationFormat::kInt8G32)) << "nothing was measured";
  rates.fp32_gflops = 100;
  rates.int8_gops = 149;
  EXPECT_FALSE(gains_arithmetic(rates, ActivationFormat::kInt8PerToken));
  EXPECT_FALSE(gains_arithmetic(rates, ActivationFormat::kBF16));
  EXPECT_EQ(advise({}, rates)[0].find("int8 is fast"), std::string::npos);
  rates.int8_gops = 151;
  rates.bf16_gflops = 90;
  EXPECT_TRUE(gains_arithmetic(rates, ActivationFormat::kInt8G64));
  EXPECT_TRUE(gains_arithmetic(rates, ActivationFormat::kBF16));
  EXPECT_FALSE(gains_arithmetic(rates, ActivationFormat::kF32)) << "it is the measure";
  EXPECT_EQ(advise({}, rates)[0].find("int8 is fast"), 0U);
}

}  // namespace
}  // namespace citius
