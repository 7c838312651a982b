#include "runtime/decoder.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace citius {
namespace {

int64_t blocks_for(int64_t tokens) { return (tokens + kKvBlock - 1) / kKvBlock; }

CausalLmHead load_head(Engine& engine) {
  CausalLmHead head = CausalLmHead::load(engine.loaded);
  engine.loaded.source.finish();
  return head;
}

}  // namespace

Decoder::Decoder(Engine& engine, int64_t kv_tokens)
    : engine_(engine),
      head_(load_head(engine)),
      blocks_(blocks_for(kv_tokens)),
      kv_(engine.model().config().num_layers, blocks_.num_blocks(), engine.model().config().kv_heads,
          engine.model().config().head_dim, engine.options.kv_type) {}

int32_t Decoder::create() {
  sequences_[next_sequence_];
  return next_sequence_++;
}

int32_t Decoder::fork(int32_t sequence) {
  const Sequence& from = sequences_.at(sequence);
  Sequence to = from;
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

void Decoder::reserve(std::span<const Step> steps) {
  int64_t needed = 0;
  for (const Step& step : steps) {
    const Sequence& sequence = sequences_.at(step.sequence);
    const int64_t length = sequence.length + static_cast<int64_t>(step.tokens.size());
    if (length > max_length()) {
      fail_input("context", "got a sequence of {} tokens, expected at most {}", length, max_length());
    }
    for (int32_t token : step.tokens) {
      if (token < 0 || token >= engine_.model().config().vocab_size) {
        fail_input("tokens", "got id {}, expected 0 to {}", token, engine_.model().config().vocab_size - 1);
      }
    }
    needed += blocks_for(length) - static_cast<int64_t>(sequence.blocks.size());
  }
  if (needed > blocks_.num_free()) {
    fail(ErrorKind::kResource, "keys and values", "got {} tokens to add, expected at most {}; lower the context or batch",
         needed * kKvBlock, num_free_tokens());
  }
  for (const Step& step : steps) {
    Sequence& sequence = sequences_.at(step.sequence);
    const int64_t length = sequence.length + static_cast<int64_t>(step.tokens.size());
    while (static_cast<int64_t>(sequence.blocks.size()) < blocks_for(length)) sequence.blocks.push_back(blocks_.take());
  }
}

TensorView Decoder::forward(std::span<const Step> steps, const Observer* observer) {
  reserve(steps);
  std::vector<int32_t> tokens, positions;
  std::vector<SequenceSpan> spans;
  for (const Step& step : steps) {
    Sequence& sequence = sequences_.at(step.sequence);
    SequenceSpan span;
    span.begin = static_cast<int32_t>(tokens.size());
    span.past = static_cast<int32_t>(sequence.length);
    span.blocks = sequence.blocks.data();
    for (int32_t token : step.tokens) {
      tokens.push_back(token);
      positions.push_back(static_cast<int32_t>(sequence.length++));
    }
    span.end = static_cast<int32_t>(tokens.size());
    spans.push_back(span);
  }
  Arena::Scope scope(arena_);  // given back at once: results stay readable until the next forward
  const ForwardContext ctx{*engine_.backend, arena_, engine_.options.compute, observer};
  return engine_.model().forward(ctx, {tokens, positions, {}, spans}, kv_);
}

TensorView Decoder::logits(const TensorView& hidden, std::span<const int64_t> rows) {
  Arena::Scope scope(logits_arena_);
  const ForwardContext ctx{*engine_.backend, logits_arena_, engine_.options.compute, nullptr};
  const TensorView chosen = ctx.alloc({static_cast<int64_t>(rows.size()), hidden.shape[1]});
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(chosen.row(static_cast<int64_t>(i)), hidden.row(rows[i]), sizeof(float) * static_cast<size_t>(hidden.shape[1]));
  }
  return head_.forward(ctx, chosen);
}

}  // namespace citius
