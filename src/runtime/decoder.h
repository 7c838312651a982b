// Decoder: runs tokens of many sequences through a causal model, keeping their keys and values. Knows blocks and
// tensors, nothing of text, sampling or requests.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "heads/causal_lm.h"
#include "runtime/engine.h"
#include "runtime/kv_blocks.h"

namespace citius {

/// Once steps of a size were run, further ones of it allocate nothing: forward(), logits() and most_likely().
class Decoder {
 public:
  /// Room for `kv_tokens` tokens in all (rounded up to whole blocks a sequence). Loads the language-model head. Throws
  /// Error{kResource} where the memory is not to be had.
  Decoder(Engine& engine, int64_t kv_tokens);
  /// Tokens of one call that memory is planned for; more take more.
  static constexpr int64_t kChunk = 512;

  /// New tokens of one sequence.
  struct Step {
    int32_t sequence;
    std::span<const int32_t> tokens;
  };
  /// The same of a sequence that somebody else keeps (runtime/scheduler.h).
  struct Placed {
    std::span<const int32_t> tokens;
    int64_t past;                     // tokens before them
    std::span<const int32_t> blocks;  // block table, with room for all
  };

  int32_t create();
  /// A copy that shares all full blocks with `sequence`.
  int32_t fork(int32_t sequence);
  void release(int32_t sequence);
  int64_t length(int32_t sequence) const { return sequences_.at(sequence).length; }
  /// Longest sequence the model was prepared for.
  int64_t max_length() const { return engine_.model().config().max_positions; }
  /// Who else takes blocks takes them here.
  KvBlocks& blocks() { return blocks_; }
  /// Room for `num_blocks` blocks at once. What is cached is lost where there was less; no sequence may hold any then. Throws
  /// Error{kResource}, and changes nothing, where the memory is not to be had.
  void make_room(int64_t num_blocks);

  /// Appends the steps' tokens to their sequences (each named once) and returns hidden states [T, C], rows in the order
  /// of the steps. Valid until the next call of forward(). Throws Error{kInput} for tokens out of range or a sequence
  /// beyond max_length, Error{kResource} where no block is free; then nothing has changed.
  TensorView forward(std::span<const Step> steps, const Observer* observer = nullptr);
  TensorView forward(std::span<const Placed> parts, const Observer* observer = nullptr);
  /// Appends all of `tokens` but the last, at most kChunk, in calls of kChunk tokens. What is left, for the caller's own call.
  std::span<const int32_t> feed_beginning(int32_t sequence, std::span<const int32_t> tokens);
  /// Logits [R, V] of chosen rows of `hidden`. Valid until the next call of forward() or of logits(). Throws
  /// Error{kFailed} where they are not finite.
  TensorView logits(const TensorView& hidden, std::span<const int64_t> rows);
  /// The token with the largest logit of every row, the first of several. Valid until the next call.
  std::span<const int32_t> most_likely(const TensorView& logits);

  int64_t vocab_size() const { return head_.vocab_size(); }
  size_t kv_bytes() const { return kv_.bytes(); }
  size_t workspace_bytes() const { return arena_.peak_bytes() + logits_arena_.peak_bytes(); }

 private:
  struct Sequence {
    std::vector<int32_t> blocks;
    int64_t length = 0;
  };
  nn::KvCache make_cache(int64_t num_blocks) const;
  /// That a sequence can come to have.
  size_t most_blocks() const;
  void check(std::span<const int32_t> tokens, int64_t length) const;
  void reserve(std::span<const Step> steps);

  Engine& engine_;
  CausalLmHead head_;
  KvBlocks blocks_;
  nn::KvCache kv_;
  Arena arena_;
  Arena logits_arena_;
  std::map<int32_t, Sequence> sequences_;
  int32_t next_sequence_ = 0;
  // Of the step at hand.
  std::vector<Placed> placed_;
  std::vector<int32_t> tokens_, positions_;
  std::vector<SequenceSpan> spans_;
  std::vector<int32_t> most_likely_;
};

}  // namespace citius
