// The refusal of what does not fit.
#include "base/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace citius {
namespace {

TEST(Memory, WhatDoesNotFitIsRefusedWithTheNumbers) {
  EXPECT_GT(available_memory(), 0);
  require_memory("a byte", 1, "");
  try {
    require_memory("a universe", 1e18, "think smaller");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("a universe would take"), testing::HasSubstr("available"),
                                             testing::HasSubstr("think smaller")));
  }
}

}  // namespace
}  // namespace citius
