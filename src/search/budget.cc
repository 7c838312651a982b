#include "search/budget.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace citius {
namespace {

struct Metric {
  std::string_view brief;
  std::string_view name;
  bool language_model;
  bool at_least;
  double least, most;  // what it can be
};
constexpr double kUnbounded = std::numeric_limits<double>::infinity();
constexpr Metric kMetrics[] = {{"kl", "kl_mean", true, false, 0, kUnbounded},
                               {"top1", "top1_agreement", true, true, 0, 1},
                               {"ppl_ratio", "perplexity_ratio", true, false, 0, kUnbounded},
                               {"cosine", "cosine_mean", false, true, -1, 1}};

std::string allowed(bool language_model) {
  std::string text;
  for (const Metric& metric : kMetrics) {
    if (metric.language_model != language_model) continue;
    text += fmt::format("{}{}{}NUMBER", text.empty() ? "" : ", ", metric.brief, metric.at_least ? ">=" : "<=");
  }
  return text;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Condition parse_condition(std::string_view text, bool language_model) {
  const auto refuse = [&] {
    fail(ErrorKind::kUsage, "budget", "got '{}', expected conditions for {}, separated by commas: {}", text,
         language_model ? "a language model" : "an encoder", allowed(language_model));
  };
  const size_t sign = text.find_first_of("<>");
  if (sign == std::string_view::npos || sign + 2 > text.size() || text[sign + 1] != '=') refuse();
  const std::string_view name = trim(text.substr(0, sign)), number = trim(text.substr(sign + 2));
  Condition condition;
  condition.at_least = text[sign] == '>';
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), condition.bound);
  if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(condition.bound)) refuse();
  for (const Metric& metric : kMetrics) {
    if (metric.language_model != language_model || (name != metric.brief && name != metric.name)) continue;
    if (metric.at_least != condition.at_least) refuse();
    if (condition.bound < metric.least || condition.bound > metric.most) {
      fail(ErrorKind::kUsage, "budget", "got '{}', expected a bound from {} to {}", text, metric.least, metric.most);
    }
    condition.metric = std::string(metric.name);
    return condition;
  }
  refuse();
  return condition;
}

}  // namespace

Budget parse_budget(std::string_view expression, bool language_model) {
  Budget budget;
  while (true) {
    const size_t comma = expression.find(',');
    budget.push_back(parse_condition(trim(expression.substr(0, comma)), language_model));
    if (comma == std::string_view::npos) return budget;
    expression.remove_prefix(comma + 1);
  }
}

std::string default_budget(bool language_model) { return language_model ? "kl<=0.02,top1>=0.95" : "cosine>=0.99"; }

bool hopeless(const Budget& budget, const Quality& quality) {
  return std::any_of(budget.begin(), budget.end(), [&](const Condition& condition) {
    const Estimate& estimate = quality.at(condition.metric);
    return condition.at_least ? estimate.high < condition.bound : estimate.low > condition.bound;
  });
}

bool missed(const Budget& budget, const Quality& quality) {
  return !std::all_of(budget.begin(), budget.end(), [&](const Condition& condition) {
    const double value = quality.at(condition.metric).value;
    return condition.at_least ? value >= condition.bound : value <= condition.bound;  // a NaN misses
  });
}

std::optional<std::string> violation(const Budget& budget, const Quality& quality, double confidence) {
  for (const Condition& condition : budget) {
    const Estimate& estimate = quality.at(condition.metric);
    const double bound = condition.at_least ? estimate.low : estimate.high;
    // Written so that a NaN fails.
    const bool met = condition.at_least ? bound >= condition.bound : bound <= condition.bound;
    if (met) continue;
    return fmt::format("{} is {:.4g}, its {:g} % bound {:.4g}; the budget asks for {} {:g}", condition.metric, estimate.value,
                       100 * confidence, bound, condition.at_least ? "at least" : "at most", condition.bound);
  }
  return std::nullopt;
}

}  // namespace citius
