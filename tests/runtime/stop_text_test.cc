#include "runtime/stop_text.h"

#include <gtest/gtest.h>

namespace citius {
namespace {

TEST(StopText, EndsBeforeAStopStringThatCrossesPieces) {
  std::string given;
  StopText text({"END", "##"}, [&](const std::string& piece) {
    given += piece;
    return true;
  });
  EXPECT_TRUE(text.push("abc E"));
  EXPECT_EQ(given, "abc ");
  EXPECT_TRUE(text.push("N"));
  EXPECT_TRUE(text.push("x E"));
  EXPECT_EQ(given, "abc ENx ");
  EXPECT_FALSE(text.push("ND more"));
  EXPECT_EQ(text.finish(), "abc ENx ");
  EXPECT_EQ(given, "abc ENx ");
}

TEST(StopText, GivesOutWhatWasHeldBackAtTheEnd) {
  std::string given;
  StopText text({"##"}, [&](const std::string& piece) {
    given += piece;
    return true;
  });
  text.push("a#");
  EXPECT_EQ(given, "a");
  EXPECT_EQ(text.finish(), "a#");
  EXPECT_EQ(given, "a#");
}

TEST(StopText, EarliestOfSeveralStopsWins) {
  StopText text({"cd", "b"}, [](const std::string&) { return true; });
  EXPECT_FALSE(text.push("abcd"));
  EXPECT_EQ(text.finish(), "a");
}

TEST(StopText, ReaderMayEndIt) {
  StopText text({}, [](const std::string& piece) { return piece != "b"; });
  EXPECT_TRUE(text.push("a"));
  EXPECT_FALSE(text.push("b"));
  EXPECT_FALSE(text.push("c"));
  EXPECT_EQ(text.finish(), "ab");
}

}  // namespace
}  // namespace citius
