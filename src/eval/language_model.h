// A causal model as something that is measured: hidden states of whole sequences, kept, and logits made from them a few
// rows at a time. Hidden states are some hundred times smaller than logits, so the outputs of a reference are kept in
// this form while many candidates are compared with it.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "eval/windows.h"
#include "runtime/decoder.h"

namespace citius {

/// Switches the compute mode of an engine while it lives.
class ComputeScope {
 public:
  ComputeScope(Engine& engine, Compute compute) : engine_(engine), saved_(engine.options.compute) { engine_.options.compute = compute; }
  ~ComputeScope() { engine_.options.compute = saved_; }
  ComputeScope(const ComputeScope&) = delete;
  ComputeScope& operator=(const ComputeScope&) = delete;

 private:
  Engine& engine_;
  Compute saved_;
};

/// Called as work proceeds, with the share done in [0, 1]. May be empty.
using OnProgress = std::function<void(double share)>;

/// Hidden states of one sequence from the row that predicts its first scored token to the one that predicts its last.
struct HiddenRows {
  std::vector<float> values;  // [rows, C]
  int64_t rows = 0;
};

class LanguageModel {
 public:
  /// For sequences of up to `longest` tokens, in the compute mode that the engine has now, whatever it is switched to
  /// later: one engine can be reference and candidate at once. Throws Error{kInput} where the model has no language-model head or cannot
  /// take so many.
  LanguageModel(Engine& engine, int64_t longest);

  HiddenRows run(const ScoredSequence& sequence);

  /// Logits [count, V] of rows [first, first + count) of `hidden`; valid until the next call of this object.
  TensorView logits(const HiddenRows& hidden, int64_t first, int64_t count);

  Engine& engine() { return engine_; }
  int64_t vocab_size() const { return decoder_.vocab_size(); }
  /// Rows of logits that are made at once.
  static constexpr int64_t kLogitRows = 64;

 private:
  Engine& engine_;
  Decoder decoder_;
  Compute compute_;
};

/// Length of the longest sequence.
int64_t longest(std::span<const ScoredSequence> sequences);

/// The BOS token where this tokenizer puts one before a text, otherwise -1.
int32_t leading_bos(const Tokenizer& tokenizer);

/// Ids of a text as a language model is shown it: BOS only where the tokenizer adds it, nothing at the end.
std::vector<int32_t> encode_text(const Tokenizer& tokenizer, std::string_view text);

}  // namespace citius
