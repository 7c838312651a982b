// Fill-mask: the likeliest tokens at a masked place.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace citius {

struct TokenScore {
  int32_t token = 0;
  double score = 0;  // probability over the whole vocabulary
};

/// The `count` likeliest tokens of one row of logits, best first; ties by id.
std::vector<TokenScore> likeliest_tokens(std::span<const float> logits, size_t count);

}  // namespace citius
