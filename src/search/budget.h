// Accuracy budgets: `kl<=0.02,top1>=0.95`. A condition holds when the bound of the metric's 95 % interval holds, so that
// little data cannot pass what much data would not.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/quality.h"

namespace citius {

struct Condition {
  std::string metric;  // as in Quality: kl_mean, top1_agreement, perplexity_ratio, cosine_mean
  bool at_least = false;
  double bound = 0;
};
using Budget = std::vector<Condition>;

/// Parses conditions separated by commas: METRIC<=NUMBER or METRIC>=NUMBER with kl, top1, ppl_ratio (language models) or
/// cosine (encoders), or their long names. Throws Error{kUsage} naming what is allowed, for bounds that the metric cannot
/// have too.
Budget parse_budget(std::string_view expression, bool language_model);

/// kl<=0.02,top1>=0.95 for language models, cosine>=0.99 for encoders.
std::string default_budget(bool language_model);

/// True where even the good end of an interval misses the budget: more items would not help.
bool hopeless(const Budget& budget, const Quality& quality);

/// True where the estimates themselves miss the budget, whatever their intervals.
bool missed(const Budget& budget, const Quality& quality);

/// Nothing where the budget is met, otherwise the reason in words. `confidence` is that of the quality's intervals.
std::optional<std::string> violation(const Budget& budget, const Quality& quality, double confidence = kConfidence);

}  // namespace citius
