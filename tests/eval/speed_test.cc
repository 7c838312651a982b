// What is made of rounds: shares of what memory gave beside each of them.
#include "eval/speed.h"

#include <gtest/gtest.h>

namespace citius {
namespace {

Round round_of(double seconds, double plain, double best) {
  Round round;
  round.seconds = seconds;
  round.reads = {plain, best};
  return round;
}

TEST(Rounds, ShareOfTheReadsBesideEach) {
  // Memory is twice as fast in the second round, and so is the round: the share of both is the same.
  const std::vector<Round> rounds = {round_of(2, 60, 100), round_of(1, 150, 200), round_of(1, 300, 400)};
  ASSERT_TRUE(share_of_reads(rounds, 100));
  EXPECT_DOUBLE_EQ(*share_of_reads(rounds, 100), 0.5);
  EXPECT_EQ(middle_reads(rounds).plain, 150);
  EXPECT_EQ(middle_reads(rounds).best, 200);
  EXPECT_FALSE(share_of_reads(std::vector<Round>{round_of(1, 0, 0)}, 100)) << "nothing was measured beside it";
}

}  // namespace
}  // namespace citius
