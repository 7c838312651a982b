// Generator: prompts in, replies out. Runs several requests together, decodes their text as it grows, and stops where
// they ask for it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runtime/decoder.h"
#include "runtime/sampler.h"
#include "runtime/scheduler.h"

namespace citius {

struct GenerationRequest {
  std::vector<int32_t> prompt;  // ids
  int64_t max_tokens = 128;     // 0: score the prompt only
  SamplingOptions sampling;
  std::vector<std::string> stop;     // strings that end the reply; not part of it
  std::vector<int32_t> stop_tokens;  // ids that end the reply; not part of it
  int64_t num_beams = 1;             // more than 1: beam search; the temperature must be 0
  double length_penalty = 1;         // beam score = sum of log-probabilities / length^penalty
  int64_t logprobs = -1;             // 0 or more: log-probabilities of the reply, with so many alternatives
  bool prompt_logprobs = false;      // the same of the prompt
};

struct TokenLogprobs {
  int32_t token = 0;
  double logprob = 0;
  std::vector<std::pair<int32_t, double>> top;
};

struct GenerationResult {
  std::string text;
  std::vector<int32_t> tokens;                 // without the end token
  std::string finish_reason;                   // "stop" or "length"
  std::vector<TokenLogprobs> logprobs;         // one a reply token
  std::vector<TokenLogprobs> prompt_logprobs;  // one a prompt token but the first
  double prefill_ms = 0;                       // until the first token was chosen
  double decode_ms = 0;                        // from then on
};

/// Pieces of text as they become certain. Return false to stop this request.
using OnText = std::function<bool(size_t request, const std::string& piece)>;

struct GeneratorOptions {
  int64_t prefill_chunk = Decoder::kChunk;  // tokens of prompts that one step takes at most
  int64_t sequences = 1;                    // of the context asked for that there shall be room for; they wait where memory has less
  int64_t kv_tokens = 0;  // room for keys and values; 0: as `sequences` and the context say. Beam search makes more where it needs it
};

class Generator {
 public:
  /// Logits of a vocabulary are large: they are taken a few rows at a time.
  static constexpr int64_t kLogitRows = 32;

  explicit Generator(Engine& engine, const GeneratorOptions& options = {});

  /// Runs all requests; results in their order. What each gives does not depend on the others. Requests wait for room;
  /// keys and values of prompts that begin like earlier ones, of this call or one before, are used again. Throws
  /// Error{kInput} for a request that can never fit. Where no token can be chosen for one (all are banned), `on_text` is given
  /// what the others' tokens of that step make certain before that is thrown.
  std::vector<GenerationResult> generate(std::span<const GenerationRequest> requests, const OnText& on_text = {});

  Decoder& decoder() { return decoder_; }
  /// What all calls together did.
  const Scheduler::Counters& counters() const { return scheduler_.counters(); }
  /// Ids that end a reply: from generation_config.json, the tokenizer and the GGUF metadata.
  const std::vector<int32_t>& end_tokens() const { return end_tokens_; }

 private:
  struct Active;
  struct Run;
  void check(const GenerationRequest& request) const;
  void enter(Run& run, size_t index, const GenerationRequest& request, const OnText& on_text);
  void step(Run& run);
  void choose_tokens(Run& run, const TensorView& hidden, std::span<const int64_t> rows, std::span<const Scheduler::Id> ids);
  void accept_logits(Active& active, const TensorView& hidden, int64_t begin, int64_t past, int64_t count);
  void accept(Active& active, int32_t token, std::span<const float> logits);
  int64_t beam_blocks(const GenerationRequest& request) const;
  GenerationResult beam_search(const GenerationRequest& request, const std::function<bool(const std::string&)>& emit);
  StreamDecoder reply_decoder(const GenerationRequest& request) const;
  void score_reply(const GenerationRequest& request, GenerationResult& result);

  Engine& engine_;
  Decoder decoder_;
  Scheduler scheduler_;
  std::vector<int32_t> end_tokens_;
};

}  // namespace citius
