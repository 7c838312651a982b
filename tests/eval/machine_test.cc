// What is said of a machine, from rates that are given: `doctor` and `quantize --list` ask the same functions.
#include "eval/machine.h"

#include <gtest/gtest.h>

namespace citius {
namespace {

TEST(Machine, GainsByMeasuredRates) {
  MachineRates rates;
  EXPECT_FALSE(gains_arithmetic(rates, ActivationFormat::kInt8G32)) << "nothing was measured";
  EXPECT_FALSE(gains_arithmetic(rates, ActivationFormat::kBF16));
  rates.fp32_gflops = 100;
  rates.int8_gops = 149;
  EXPECT_FALSE(gains_arithmetic(rates, ActivationFormat::kInt8PerToken));
  EXPECT_FALSE(gains_arithmetic(rates, ActivationFormat::kBF16));
  EXPECT_EQ(advise({}, rates)[0].find("int8 is fast"), std::string::npos);
  rates.int8_gops = 151;
  rates.bf16_gflops = 149;  // an instruction that is hardly faster than those of fp32
  EXPECT_FALSE(gains_arithmetic(rates, ActivationFormat::kBF16));
  EXPECT_EQ(advise({}, rates)[1].find("bf16 saves memory"), 0U);
  rates.bf16_gflops = 151;
  EXPECT_TRUE(gains_arithmetic(rates, ActivationFormat::kInt8G64));
  EXPECT_TRUE(gains_arithmetic(rates, ActivationFormat::kBF16));
  EXPECT_FALSE(gains_arithmetic(rates, ActivationFormat::kF32)) << "it is the measure";
  EXPECT_EQ(advise({}, rates)[0].find("int8 is fast"), 0U);
  EXPECT_EQ(advise({}, rates)[1].find("bf16 is fast"), 0U);
}

TEST(ReadMeter, EveryVariantTimeAndAgain) {
  ThreadPool pool(2);
  ReadMeter meter(pool, int64_t{1} << 20);
  for (int turn = 0; turn < 2; ++turn) {
    const std::vector<ReadRate> rates = meter.measure(0.001);
    ASSERT_EQ(rates.size(), 5);
    EXPECT_EQ(rates[0].variant, "plain");
    for (const ReadRate& rate : rates) EXPECT_GT(rate.gb_per_s, 0) << rate.variant;
  }
}

TEST(Machine, RatesThatAreUnknownAreNull) {
  EXPECT_TRUE(to_json(MachineRates{}).at("read_gb_per_s").is_null());
  EXPECT_EQ(advise({}, {}).back().find(" 0 GB/s"), std::string::npos);
}

TEST(MachineRates, AllThreadsDoNoLessThanOne) {
  MachineRates one{1, {{"a", 5}, {"b", 9}}, 9, 100, 50, 200};
  MachineRates all{4, {{"a", 8}, {"b", 7}}, 8, 90, 60, 150};
  const MachineRates rates = at_least(all, one);
  EXPECT_EQ(rates.threads, 4);
  EXPECT_EQ(rates.reads[0].gb_per_s, 8);
  EXPECT_EQ(rates.reads[1].gb_per_s, 9);
  EXPECT_EQ(rates.read_gb_per_s, 9);
  EXPECT_EQ(rates.fp32_gflops, 100);
  EXPECT_EQ(rates.bf16_gflops, 60);
  EXPECT_EQ(rates.int8_gops, 200);
  one.reads.clear();  // too little memory was left to measure it
  EXPECT_EQ(at_least(all, one).reads[0].gb_per_s, 8);
  EXPECT_EQ(at_least(one, all).reads.size(), 2U);
  one.bf16_gflops = all.bf16_gflops = std::nullopt;
  EXPECT_FALSE(at_least(all, one).bf16_gflops);
}

}  // namespace
}  // namespace citius
