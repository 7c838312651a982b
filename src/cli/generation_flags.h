// The flags of commands that generate text, and how a result is printed as JSON.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/outputs.h"
#include "runtime/generator.h"

namespace citius::cli {

struct GenerationFlags {
  int64_t max_tokens = 128;
  std::optional<double> temperature, top_p, min_p, typical_p, repetition_penalty, presence_penalty, frequency_penalty;
  std::optional<int64_t> top_k;
  std::vector<std::string> logit_bias;  // ID=VALUE
  std::vector<std::string> banned;      // words
  std::string begin_with;
  std::vector<std::string> stop;
  uint64_t seed = 0;
  int64_t num_beams = 1;
  double length_penalty = 1;
  int64_t logprobs = -1;
  bool echo = false;

  void add_to(CLI::App& app);
  /// Throws Error{kUsage} where log-probabilities are asked for and there is no place for them: only JSON and CSV show
  /// them.
  void check_shown(const OutputOptions& output) const;
  /// One line on standard error that names what the model's generation_config.json asks for and nothing here does.
  void warn_of_ignored(const Engine& engine) const;
  /// The request for a prompt. What was not given comes from the model's generation_config.json: temperature, top-k, top-p,
  /// min-p and typical-p where it asks for sampling and there is no beam search, the repetition penalty unless temperature 0
  /// was given, stop strings. The reply is greedy unless the file asks for sampling, a temperature was given, or top-k,
  /// top-p, min-p or typical-p (temperature 1). What the file bans (bad_words_ids, suppress_tokens) is banned always. Throws
  /// Error{kInput} naming the file and the key where its values are none.
  GenerationRequest request(const Engine& engine, std::vector<int32_t> prompt) const;
};

/// text, tokens, finish_reason, timings, and what --logprobs and --echo add (../docs/cli.md).
json::object to_json(const Engine& engine, const GenerationRequest& request, const GenerationResult& result);

}  // namespace citius::cli
