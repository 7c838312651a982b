// Perplexity of a language model over a text, by either of the protocols of eval/windows.h.
#pragma once

#include <string>
#include <string_view>

#include "eval/language_model.h"
#include "metrics/statistics.h"

namespace citius {

struct PerplexityOptions {
  int64_t context = 512;
  int64_t stride = 0;       // 0: llama-perplexity; otherwise Hugging Face
  int64_t max_windows = 0;  // 0: all
};

struct PerplexityResult {
  Estimate perplexity;  // interval over windows
  int64_t tokens_scored = 0;
  int64_t windows = 0;
  std::string protocol;  // "llama-perplexity" or "huggingface"
};

/// The windows that the options make of a text. Throws Error{kUsage} for options out of range, Error{kInput} where the
/// text is too short for one window.
std::vector<ScoredSequence> perplexity_windows(const Tokenizer& tokenizer, std::string_view text, const PerplexityOptions& options);

PerplexityResult measure_perplexity(Engine& engine, std::string_view text, const PerplexityOptions& options,
                                    const OnProgress& progress = {});

/// Negative log-likelihood of every sequence (sum over its scored tokens, nats).
std::vector<double> score_sequences(LanguageModel& model, std::span<const ScoredSequence> sequences, const OnProgress& progress = {});

}  // namespace citius
