// Which plans a search tries, and in which order.
#include "search/candidate.h"

#include <gtest/gtest.h>

namespace citius {
namespace {

TEST(Candidates, ABodyOfFewBitsIsFirstLeftAlone) {
  CandidateSpace space;
  space.language_model = true;
  space.stored = {Format::kQ4_1};
  space.bits_per_weight = 5;
  space.output_bits = 8.5;
  const std::vector<FormatPlan> few = uniform_plans(space);
  ASSERT_GT(few.size(), 2u);
  EXPECT_EQ(few[0].name, "body as given, output q6_k");
  EXPECT_EQ(few[1].name, "body as given, output int4z-g32");
  EXPECT_TRUE(few[2].body.has_value());
  space.stored = {Format::kF32};
  space.bits_per_weight = space.output_bits = 32;
  EXPECT_TRUE(uniform_plans(space).front().body.has_value());
}

}  // namespace
}  // namespace citius
