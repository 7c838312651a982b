// What doctor says of a machine, from rates that are given.
#include "eval/machine.h"

#include <gtest/gtest.h>

namespace citius {
namespace {

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
  one.bf16_gflops = all.bf16_gflops = std::nullopt;
  EXPECT_FALSE(at_least(all, one).bf16_gflops);
}

}  // namespace
}  // namespace citius
