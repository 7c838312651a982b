#include "runtime/decoder.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/error.h"
#include "metrics/distribution.h"
#include "tensor/finite.h"

namespace citius {
namespace {

int64_t blocks_for(int64_t tokens) { return (tokens + kKvBlock - 1) / kKvBlock; }

CausalLmHead load_head(Engine& engine) {
  CausalLmHead head = CausalLmHead::load(engine.loaded);
  engine.loaded.finish();
  return head;
}

}  // namespace

Decoder::Decoder(Engine& engine, int64_t kv_tokens)
    : engine_(engine), head_(load_head(engine)), blocks_(blocks_for(kv_tokens)), kv_(make_cache(blocks_.num_blocks())) {
  arena_.reserve(static_cast<size_t>(engine.activations.of(std::min(kChunk, blocks_.num_blocks() * kKvBlock))));
}

nn::KvCache Decoder::make_cache(int64_t num_blocks) const {
  const ModelConfig& config = engine_.model().config();
  return nn::KvCache(config.num_layers, num_blocks, config.kv_heads, config.head_dim, engine_.kv_type);
}

void Decoder::make_room(int64_t num_blocks) {
  if (num_blocks <= blocks_.num_blocks()) return;
  CHECK(blocks_.num_free() == blocks_.num_blocks());
  kv_ = make_cache(num_blocks);
  blocks_ = KvBlocks(num_blocks);
}

size_t Decoder::most_blocks() const { return static_cast<size_t>(std::min(blocks_for(max_length()), blocks_.num_blocks())); }

int32_t Decoder::create() {
  sequences_[next_sequence_].blocks.reserve(most_blocks());
  return next_sequence_++;
}

int32_t Decoder::fork(int32_t sequence) {
  const Sequence& from = sequences_.at(sequence);
  Sequence to;
  to.blocks.reserve(most_blocks());
  to = from;
  const bool partial = from.length % kKvBlock != 0;
  if (partial) {
    to.blocks.back() = blocks_.take();
    kv_.copy_block(from.blocks.back(), to.blocks.back());
  }
  for (size_t i = 0; i + (partial ? 1 : 0) < to.blocks.size(); ++i) blocks_.share(to.blocks[i]);
  sequences_[next_sequence_] = std::move(to);
  return next_sequence_++;
}

void Decoder::release(int32_t sequence) {
  for (int32_t block : sequences_.at(sequence).blocks) blocks_.release(block);
  sequences_.erase(sequence);
}

void Decoder::check(std::span<const int32_t> tokens, int64_t length) const {
  if (length > max_length()) fail_input("context", "got a sequence of {} tokens, expected at most {}", length, max_length());
  const int64_t vocab = engine_.model().config().vocab_size;
  for (int32_t token : tokens) {
    if (token < 0 || token >= vocab) fail_input("tokens", "got id {}, expected 0 to {}", token, vocab - 1);
  }
}

void Decoder::reserve(std::span<const Step> steps) {
  int64_t needed = 0;
  for (const Step& step : steps) {
    const Sequence& sequence = sequences_.at(step.sequence);
    const int64_t length = sequence.length + static_cast<int64_t>(step.tokens.size());
    check(step.tokens, length);
    needed += blocks_for(length) - static_cast<int64_t>(sequence.blocks.size());
  }
  if (needed > blocks_.num_free()) {
    fail(ErrorKind::kResource, "keys and values", "got {} tokens to add, expected at most {}; lower the context or batch",
         needed * kKvBlock, blocks_.num_free() * kKvBlock);
  }
  for (const Step& step : steps) {
    Sequence& sequence = sequences_.at(step.sequence);
    const int64_t length = sequence.length + static_cast<int64_t>(step.tokens.size());
    while (static_cast<int64_t>(sequence.blocks.size()) < blocks_for(length)) sequence.blocks.push_back(blocks_.take());
  }
}

TensorView Decoder::forward(std::span<const Step> steps, const Observer* observer) {
  reserve(steps);
  placed_.clear();
  for (const Step& step : steps) {
    Sequence& sequence = sequences_.at(step.sequence);
    placed_.push_back({step.tokens, sequence.length, sequence.blocks});
    sequence.length += static_cast<int64_t>(step.tokens.size());
  }
  return forward(placed_, observer);
}

TensorView Decoder::forward(std::span<const Placed> parts, const Observer* observer) {
  tokens_.clear();
  positions_.clear();
  spans_.clear();
  for (const Placed& part : parts) {
    const int64_t length = part.past + static_cast<int64_t>(part.tokens.size());
    check(part.tokens, length);
    CHECK(std::ssize(part.blocks) >= blocks_for(length));
    SequenceSpan span;
    span.begin = static_cast<int32_t>(tokens_.size());
    span.past = static_cast<int32_t>(part.past);
    span.blocks = part.blocks.data();
    tokens_.insert(tokens_.end(), part.tokens.begin(), part.tokens.end());
    for (int64_t position = part.past; position < length; ++position) positions_.push_back(static_cast<int32_t>(position));
    span.end = static_cast<int32_t>(tokens_.size());
    spans_.push_back(span);
  }
  Arena::Scope scope(arena_);  // given back at once: results stay readable until the next forward
  const ForwardContext ctx{*engine_.backend, arena_, engine_.options.compute, observer};
  return engine_.model().forward(ctx, {tokens_, positions_, {}, spans_}, kv_);
}

std::span<const int32_t> Decoder::feed_beginning(int32_t sequence, std::span<const int32_t> tokens) {
  for (; std::ssize(tokens) > kChunk; tokens = tokens.subspan(static_cast<size_t>(kChunk))) {
    const Step step{sequence, tokens.first(static_cast<size_t>(kChunk))};
    forward({&step, 1});
  }
  return tokens;
}

TensorView Decoder::logits(const TensorView& hidden, std::span<const int64_t> rows) {
  Arena::Scope scope(logits_arena_);
  const ForwardContext ctx{*engine_.backend, logits_arena_, engine_.options.compute, nullptr};
  const TensorView chosen = ctx.alloc({static_cast<int64_t>(rows.size()), hidden.shape[1]});
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(chosen.row(static_cast<int64_t>(i)), hidden.row(rows[i]), sizeof(float) * static_cast<size_t>(hidden.shape[1]));
  }
  const TensorView result = head_.forward(ctx, chosen);
  engine_.backend->threads().parallel_for(result.rows(), 1, [&](int64_t begin, int64_t end) {
    require_finite(result.slice_rows(begin, end), engine_.checkpoint.path.native(), "logits");
  });
  return result;
}

std::span<const int32_t> Decoder::most_likely(const TensorView& logits) {
  most_likely_.resize(static_cast<size_t>(logits.rows()));
  engine_.backend->threads().parallel_for(logits.rows(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      most_likely_[static_cast<size_t>(i)] = static_cast<int32_t>(argmax({logits.row(i), static_cast<size_t>(logits.shape[1])}));
    }
  });
  return most_likely_;
}

}  // namespace citius
