// Encoder: token sequences in, hidden states out, packed without padding. Works for causal models too (an embedding from a
// decoder).
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "runtime/engine.h"

namespace citius {

struct EncoderInput {
  std::span<const int32_t> tokens;
  std::span<const int32_t> token_types;  // or empty for all zero
};

class Encoder {
 public:
  /// One call of the model takes up to this many tokens a thread (a longer sequence goes alone): their hidden states stay in the
  /// second-level caches. `batch_tokens`: of all threads; 0: as many as that.
  static constexpr int64_t kTokensPerThread = 256;
  explicit Encoder(Engine& engine, int64_t batch_tokens = 0);

  /// Runs all inputs. `visit` sees the index of each input with its hidden states [T, C], in order; they are valid during
  /// the call only, and `ctx` may be used to run a head on them. Throws Error{kInput} for an empty or too long input.
  using Visit = std::function<void(const ForwardContext& ctx, size_t index, const TensorView& hidden)>;
  void run(std::span<const EncoderInput> inputs, const Visit& visit, const Observer* observer = nullptr);

  int64_t batch_tokens() const { return batch_tokens_; }
  int64_t max_length() const { return engine_.model().config().max_positions; }
  size_t kv_bytes() const { return kv_ == nullptr ? 0 : kv_->bytes(); }
  size_t workspace_bytes() const { return arena_.peak_bytes(); }

 private:
  void check(const EncoderInput& input) const;
  void run_batch(std::span<const EncoderInput> inputs, size_t first, const Visit& visit, const Observer* observer);

  Engine& engine_;
  int64_t batch_tokens_;
  Arena arena_;
  std::unique_ptr<nn::KvCache> kv_;  // grows with the largest batch
};

}  // namespace citius
