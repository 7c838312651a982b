// Choosing the next token from logits: bias, penalties, forbidden and forced tokens, temperature and the truncations of the
// distribution, in the order transformers applies them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include "base/rng.h"

namespace citius {

struct SamplingOptions {
  double temperature = 0;         // 0: greedy
  int64_t top_k = 0;              // keep the k most probable; 0: all
  double top_p = 1;               // keep the smallest set with this probability (Holtzman et al. 2019)
  double min_p = 0;               // keep tokens with at least this share of the best one's probability
  double typical_p = 1;           // locally typical sampling (Meister et al. 2022)
  double repetition_penalty = 1;  // Keskar et al. 2019; prompt and reply
  double presence_penalty = 0;    // subtracted once for a token that is in the reply
  double frequency_penalty = 0;   // subtracted for each occurrence in the reply
  std::map<int32_t, double> logit_bias;
  std::vector<std::vector<int32_t>> banned;  // token sequences that must not appear in the reply
  std::vector<int32_t> forced;               // the reply begins with these tokens
  uint64_t seed = 0;
};

/// Throws where an option is out of its range: Error{kUsage}, or Error{kInput} naming `file` where the options come from one.
void check_sampling(const SamplingOptions& options, std::string_view file = {});

/// ln softmax(logits) at `token`, in double.
double log_probability(std::span<const float> logits, int32_t token);
/// ln Σ exp(logits), in double.
double log_sum_exp(std::span<const float> logits);
/// The k largest as {token, log-probability}, best first; ties by lower id.
std::vector<std::pair<int32_t, double>> top_log_probabilities(std::span<const float> logits, int64_t k);

/// The logits that the next token is chosen from: bias, penalties, bans and forced tokens applied (-inf where excluded).
std::vector<float> process_logits(const SamplingOptions& options, std::span<const float> logits, std::span<const int32_t> prompt,
                                  std::span<const int32_t> reply);

/// The distribution that `sample` draws from where the temperature is not 0: {token, probability} of what is left after the
/// truncations, by token. `logits` are processed ones (process_logits).
std::vector<std::pair<int32_t, double>> sampling_distribution(const SamplingOptions& options, std::span<const float> logits);

/// Next token of a reply that has `reply` so far. The random number depends on seed and reply length alone.
int32_t sample(const SamplingOptions& options, std::span<const float> logits, std::span<const int32_t> prompt,
               std::span<const int32_t> reply);

}  // namespace citius
