#include "eval/windows.h"

#include <algorithm>

#include "base/check.h"

namespace citius {

std::vector<ScoredSequence> llama_windows(std::span<const int32_t> tokens, int64_t context, int32_t bos) {
  CHECK(context >= 4);
  std::vector<ScoredSequence> windows;
  const auto size = static_cast<size_t>(context);
  for (size_t begin = 0; begin + size <= tokens.size(); begin += size) {
    ScoredSequence window;
    window.tokens.assign(tokens.begin() + static_cast<ptrdiff_t>(begin), tokens.begin() + static_cast<ptrdiff_t>(begin + size));
    if (bos >= 0) window.tokens[0] = bos;
    window.first_scored = context / 2 + 1;
    windows.push_back(std::move(window));
  }
  return windows;
}

std::vector<ScoredSequence> strided_windows(std::span<const int32_t> tokens, int64_t context, int64_t stride) {
  CHECK(context >= 2 && stride >= 1 && stride <= context);
  std::vector<ScoredSequence> windows;
  const auto total = static_cast<int64_t>(tokens.size());
  int64_t scored_to = 0;
  for (int64_t begin = 0; begin < total; begin += stride) {
    const int64_t end = std::min(begin + context, total);
    ScoredSequence window;
    window.tokens.assign(tokens.begin() + begin, tokens.begin() + end);
    window.first_scored = std::max<int64_t>(1, scored_to - begin);
    if (window.num_scored() > 0) windows.push_back(std::move(window));
    scored_to = end;
    if (end == total) break;
  }
  return windows;
}

}  // namespace citius
