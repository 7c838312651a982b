#include "search/budget.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace citius {
namespace {

TEST(Budget, ParsesBriefAndLongNames) {
  const Budget budget = parse_budget("kl<=0.02, top1_agreement >= 0.95,ppl_ratio<=1.02", /*language_model=*/true);
  ASSERT_EQ(budget.size(), 3u);
  EXPECT_EQ(budget[0].metric, "kl_mean");
  EXPECT_FALSE(budget[0].at_least);
  EXPECT_EQ(budget[1].metric, "top1_agreement");
  EXPECT_TRUE(budget[1].at_least);
  EXPECT_EQ(budget[2].bound, 1.02);
}

TEST(Budget, RefusesAndSaysWhatIsAllowed) {
  for (const char* wrong : {"", "kl", "kl<0.02", "kl>=0.02", "kl<=", "kl<=x", "kl<=0.02,", "cosine>=0.99", "speed<=2", "kl<=nan"}) {
    try {
      parse_budget(wrong, /*language_model=*/true);
      FAIL() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage) << wrong;
      EXPECT_NE(std::string(error.what()).find("kl<=NUMBER"), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(parse_budget("kl<=0.02", /*language_model=*/false), Error);
}

TEST(Budget, RefusesBoundsThatCannotBe) {
  for (const char* wrong : {"kl<=-1", "top1>=1.5", "top1>=-0.1", "ppl_ratio<=-2"}) {
    EXPECT_THROW(parse_budget(wrong, /*language_model=*/true), Error) << wrong;
  }
  EXPECT_THROW(parse_budget("cosine>=1.01", /*language_model=*/false), Error);
  for (const char* right : {"kl<=0", "top1>=1", "ppl_ratio<=100"}) EXPECT_NO_THROW(parse_budget(right, /*language_model=*/true)) << right;
}

TEST(Budget, DefaultsParse) {
  EXPECT_EQ(parse_budget(default_budget(true), true).size(), 2u);
  EXPECT_EQ(parse_budget(default_budget(false), false).size(), 1u);
}

TEST(Budget, TheBoundDecidesNotTheValue) {
  const Budget budget = parse_budget("kl<=0.02,top1>=0.95", true);
  EXPECT_FALSE(violation(budget, {{"kl_mean", {0.015, 0.011, 0.019}}, {"top1_agreement", {0.97, 0.955, 0.98}}}));
  EXPECT_TRUE(violation(budget, {{"kl_mean", {0.015, 0.009, 0.021}}, {"top1_agreement", {0.97, 0.955, 0.98}}}));
  EXPECT_TRUE(violation(budget, {{"kl_mean", {0.015, 0.011, 0.019}}, {"top1_agreement", {0.96, 0.94, 0.98}}}));
  EXPECT_TRUE(violation(budget, {{"kl_mean", {NAN, NAN, NAN}}, {"top1_agreement", {1, 1, 1}}}));
  // The estimate may keep what the bound of a wide interval does not.
  EXPECT_FALSE(missed(budget, {{"kl_mean", {0.015, 0.009, 0.021}}, {"top1_agreement", {0.96, 0.94, 0.98}}}));
  EXPECT_TRUE(missed(budget, {{"kl_mean", {0.021, 0.015, 0.027}}, {"top1_agreement", {0.96, 0.94, 0.98}}}));
  EXPECT_TRUE(missed(budget, {{"kl_mean", {NAN, NAN, NAN}}, {"top1_agreement", {1, 1, 1}}}));
}

}  // namespace
}  // namespace citius
