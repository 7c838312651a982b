#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "base/error.h"
#include "metrics/distribution.h"

namespace citius {
namespace {

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

struct Candidate {
  int32_t token;
  double logit;
  double probability;
};

bool better(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.token < b.token; }

void normalize(std::vector<Candidate>& candidates) {
  double best = -std::numeric_limits<double>::infinity(), sum = 0;
  for (const Candidate& c : candidates) best = std::max(best, c.logit);
  for (Candidate& c : candidates) sum += c.probability = std::exp(c.logit - best);
  for (Candidate& c : candidates) c.probability /= sum;
}

// Keeps the leading candidates (already in order of preference) until their probability reaches p; at least one.
void keep_mass(std::vector<Candidate>& candidates, double p) {
  double sum = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    sum += candidates[i].probability;
    if (sum >= p) {
      candidates.resize(i + 1);
      return;
    }
  }
}

void keep_typical(std::vector<Candidate>& candidates, double p) {
  double entropy = 0;
  for (const Candidate& c : candidates) {
    if (c.probability > 0) entropy -= c.probability * std::log(c.probability);
  }
  auto surprise = [&](const Candidate& c) { return std::fabs(-std::log(c.probability) - entropy); };
  std::stable_sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) { return surprise(a) < surprise(b); });
  keep_mass(candidates, p);
  std::sort(candidates.begin(), candidates.end(), better);
}

std::vector<Candidate> truncated(const SamplingOptions& options, std::span<const float> logits) {
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  // The greatest becomes 0 before the division, which then cannot overflow to infinity on that side.
  const double best = *std::max_element(logits.begin(), logits.end());
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] != kExcluded) candidates.push_back({static_cast<int32_t>(i), (logits[i] - best) / options.temperature, 0});
  }
  if (options.top_k > 0 && static_cast<size_t>(options.top_k) < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + options.top_k, candidates.end(), better);
    candidates.resize(static_cast<size_t>(options.top_k));
  }
  normalize(candidates);
  const bool ordered = options.top_p < 1 || options.typical_p < 1;
  if (ordered) std::sort(candidates.begin(), candidates.end(), better);
  if (options.top_p < 1) {
    keep_mass(candidates, options.top_p);
    normalize(candidates);
  }
  if (options.min_p > 0) {
    double best = 0;
    for (const Candidate& c : candidates) best = std::max(best, c.probability);
    std::erase_if(candidates, [&](const Candidate& c) { return c.probability < options.min_p * best; });
    normalize(candidates);
  }
  if (options.typical_p < 1) {
    keep_typical(candidates, options.typical_p);
    normalize(candidates);
  }
  // One order whatever the selection above left behind, so that the same random number gives the same token. Where nothing
  // was selected it is there already, and a sort would take a third of the time of a token.
  const auto by_token = [](const Candidate& a, const Candidate& b) { return a.token < b.token; };
  if (!std::is_sorted(candidates.begin(), candidates.end(), by_token)) std::sort(candidates.begin(), candidates.end(), by_token);
  return candidates;
}

void apply_penalties(const SamplingOptions& options, std::span<const int32_t> prompt, std::span<const int32_t> reply,
                     std::vector<float>& logits) {
  if (options.repetition_penalty != 1) {
    std::set<int32_t> seen(prompt.begin(), prompt.end());
    seen.insert(reply.begin(), reply.end());
    const auto penalty = static_cast<float>(options.repetition_penalty);
    for (int32_t token : seen) {
      float& logit = logits[static_cast<size_t>(token)];
      logit = logit > 0 ? logit / penalty : logit * penalty;
    }
  }
  if (options.presence_penalty != 0 || options.frequency_penalty != 0) {
    std::map<int32_t, int> counts;
    for (int32_t token : reply) ++counts[token];
    for (const auto& [token, count] : counts) {
      logits[static_cast<size_t>(token)] -= static_cast<float>(options.presence_penalty + options.frequency_penalty * count);
    }
  }
}

// Of the prompt followed by the reply.
bool ends_with(std::span<const int32_t> prompt, std::span<const int32_t> reply, std::span<const int32_t> beginning) {
  if (prompt.size() + reply.size() < beginning.size()) return false;
  const size_t in_reply = std::min(reply.size(), beginning.size()), in_prompt = beginning.size() - in_reply;
  return std::ranges::equal(beginning.last(in_reply), reply.last(in_reply)) &&
         std::ranges::equal(beginning.first(in_prompt), prompt.last(in_prompt));
}

}  // namespace

void check_sampling(const SamplingOptions& o, std::string_view file) {
  auto require = [&](bool good, std::string name, const char* range, double got) {
    if (good) return;
    if (file.empty()) fail(ErrorKind::kUsage, name, "got {}, expected {}", got, range);
    std::replace(name.begin(), name.end(), '-', '_');
    fail_input(file, "key '{}': got {}, expected {}", name, got, range);
  };
  require(o.temperature >= 0 && std::isfinite(o.temperature), "temperature", "0 or more", o.temperature);
  require(o.top_k >= 0, "top-k", "0 or more", static_cast<double>(o.top_k));
  require(o.top_p > 0 && o.top_p <= 1, "top-p", "more than 0 and at most 1", o.top_p);
  require(o.min_p >= 0 && o.min_p <= 1, "min-p", "0 to 1", o.min_p);
  require(o.typical_p > 0 && o.typical_p <= 1, "typical-p", "more than 0 and at most 1", o.typical_p);
  require(o.repetition_penalty >= 1e-6 && o.repetition_penalty <= 1e6, "repetition-penalty", "0.000001 to 1000000", o.repetition_penalty);
  // Beyond that sums of logits and biases would leave the range of floats.
  for (const auto& [token, bias] : o.logit_bias) require(std::fabs(bias) <= 1e6, "logit-bias", "-1000000 to 1000000", bias);
  require(std::fabs(o.presence_penalty) <= 100, "presence-penalty", "-100 to 100", o.presence_penalty);
  require(std::fabs(o.frequency_penalty) <= 100, "frequency-penalty", "-100 to 100", o.frequency_penalty);
}

double log_sum_exp(std::span<const float> logits) {
  const double best = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit) - best);
  return best + std::log(sum);
}

double log_probability(std::span<const float> logits, int32_t token) {
  return static_cast<double>(logits[static_cast<size_t>(token)]) - log_sum_exp(logits);
}

std::vector<std::pair<int32_t, double>> top_log_probabilities(std::span<const float> logits, int64_t k) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = std::min<size_t>(static_cast<size_t>(k), order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  const double total = log_sum_exp(logits);
  std::vector<std::pair<int32_t, double>> top;
  for (size_t i = 0; i < count; ++i) {
    top.emplace_back(order[i], static_cast<double>(logits[static_cast<size_t>(order[i])]) - total);
  }
  return top;
}

std::vector<float> process_logits(const SamplingOptions& options, std::span<const float> logits, std::span<const int32_t> prompt,
                                  std::span<const int32_t> reply) {
  std::vector<float> result(logits.begin(), logits.end());
  if (reply.size() < options.forced.size()) {
    const int32_t forced = options.forced[reply.size()];
    std::fill(result.begin(), result.end(), kExcluded);
    result[static_cast<size_t>(forced)] = 0;
    return result;
  }
  for (const auto& [token, bias] : options.logit_bias) result[static_cast<size_t>(token)] += static_cast<float>(bias);
  apply_penalties(options, prompt, reply, result);
  for (const std::vector<int32_t>& words : options.banned) {
    const std::span<const int32_t> beginning(words.data(), words.size() - 1);
    if (ends_with(prompt, reply, beginning)) result[static_cast<size_t>(words.back())] = kExcluded;
  }
  if (std::all_of(result.begin(), result.end(), [](float logit) { return logit == kExcluded; })) {
    fail(ErrorKind::kFailed, "sampling", "every token is banned; nothing is left to choose");
  }
  return result;
}

std::vector<std::pair<int32_t, double>> sampling_distribution(const SamplingOptions& options, std::span<const float> logits) {
  std::vector<std::pair<int32_t, double>> distribution;
  for (const Candidate& c : truncated(options, logits)) distribution.emplace_back(c.token, c.probability);
  return distribution;
}

int32_t sample(const SamplingOptions& options, std::span<const float> logits, std::span<const int32_t> prompt,
               std::span<const int32_t> reply) {
  const bool plain = options.forced.empty() && options.logit_bias.empty() && options.banned.empty() && options.repetition_penalty == 1 &&
                     options.presence_penalty == 0 && options.frequency_penalty == 0;
  if (plain && options.temperature == 0) return static_cast<int32_t>(argmax(logits));
  const std::vector<float> processed = process_logits(options, logits, prompt, reply);
  if (options.temperature == 0) return static_cast<int32_t>(argmax(processed));
  const std::vector<std::pair<int32_t, double>> candidates = sampling_distribution(options, processed);
  const double random = CounterRng(options.seed).uniform(reply.size());
  double sum = 0;
  for (const auto& [token, probability] : candidates) {
    sum += probability;
    if (random < sum) return token;
  }
  return candidates.back().first;
}

}  // namespace citius
