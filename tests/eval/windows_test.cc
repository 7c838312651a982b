#include "eval/windows.h"

#include <gtest/gtest.h>

#include <numeric>
#include <set>

namespace citius {
namespace {

std::vector<int32_t> counting(int64_t count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), 0);
  return tokens;
}

TEST(Windows, LlamaScoresTheSecondHalfAndDropsTheRest) {
  const std::vector<ScoredSequence> windows = llama_windows(counting(512 * 3 + 511), 512, /*bos=*/-1);
  ASSERT_EQ(windows.size(), 3u);
  for (size_t i = 0; i < windows.size(); ++i) {
    EXPECT_EQ(windows[i].tokens.front(), static_cast<int32_t>(512 * i));
    EXPECT_EQ(windows[i].tokens.size(), 512u);
    EXPECT_EQ(windows[i].first_scored, 257);
    EXPECT_EQ(windows[i].num_scored(), 255);
  }
}

TEST(Windows, LlamaPutsBosOverTheFirstToken) {
  for (const ScoredSequence& window : llama_windows(counting(1024), 512, /*bos=*/77)) EXPECT_EQ(window.tokens.front(), 77);
}

TEST(Windows, StridedScoresEveryTokenButTheFirstOnce) {
  for (int64_t total : {5, 16, 17, 40, 41}) {
    for (int64_t stride : {1, 3, 8, 15}) {
      std::multiset<int32_t> scored;
      for (const ScoredSequence& window : strided_windows(counting(total), 16, stride)) {
        EXPECT_LE(window.tokens.size(), 16u);
        scored.insert(window.tokens.begin() + window.first_scored, window.tokens.end());
      }
      const std::vector<int32_t> all = counting(total);
      EXPECT_EQ(scored, std::multiset<int32_t>(all.begin() + 1, all.end())) << total << " by " << stride;
    }
  }
}

TEST(Windows, StrideOfTheContextLeavesOutWhatOpensAWindow) {
  const std::vector<ScoredSequence> windows = strided_windows(counting(32), 16, 16);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[1].first_scored, 1);
}

}  // namespace
}  // namespace citius
