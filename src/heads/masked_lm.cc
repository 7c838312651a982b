#include "heads/masked_lm.h"

#include <algorithm>

#include "heads/classification.h"

namespace citius {

std::vector<TokenScore> likeliest_tokens(std::span<const float> logits, size_t count) {
  const std::vector<double> scores = softmax(logits);
  std::vector<TokenScore> tokens(scores.size());
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = {static_cast<int32_t>(i), scores[i]};
  count = std::min(count, tokens.size());
  std::partial_sort(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(count), tokens.end(),
                    [](const TokenScore& a, const TokenScore& b) { return a.score != b.score ? a.score > b.score : a.token < b.token; });
  tokens.resize(count);
  return tokens;
}

}  // namespace citius
