#include "runtime/encoder.h"

#include "base/error.h"

namespace citius {

Encoder::Encoder(Engine& engine, int64_t batch_tokens)
    : engine_(engine), batch_tokens_(batch_tokens > 0 ? batch_tokens : kTokensPerThread * engine.backend->num_threads()) {
  arena_.reserve(static_cast<size_t>(engine.activations.of(batch_tokens_)));
}

void Encoder::check(const EncoderInput& input) const {
  const ModelConfig& config = engine_.model().config();
  const auto length = static_cast<int64_t>(input.tokens.size());
  if (length < 1 || length > max_length()) {
    fail_input("input", "got {} tokens, expected 1 to {} (the model's positions)", length, max_length());
  }
  for (int32_t token : input.tokens) {
    if (token < 0 || token >= config.vocab_size) fail_input("input", "got token id {}, expected 0 to {}", token, config.vocab_size - 1);
  }
  CHECK(input.token_types.empty() || input.token_types.size() == input.tokens.size());
}

void Encoder::run(std::span<const EncoderInput> inputs, const Visit& visit, const Observer* observer) {
  for (const EncoderInput& input : inputs) check(input);
  for (size_t begin = 0; begin < inputs.size();) {
    size_t end = begin;
    int64_t tokens = 0;
    while (end < inputs.size()) {
      const auto length = static_cast<int64_t>(inputs[end].tokens.size());
      if (end > begin && tokens + length > batch_tokens_) break;
      tokens += length;
      ++end;
    }
    run_batch(inputs.subspan(begin, end - begin), begin, visit, observer);
    begin = end;
  }
}

void Encoder::run_batch(std::span<const EncoderInput> inputs, size_t first, const Visit& visit, const Observer* observer) {
  const ModelConfig& config = engine_.model().config();
  std::vector<int32_t> tokens, types, positions, blocks;
  std::vector<SequenceSpan> spans;
  bool has_types = false;
  for (const EncoderInput& input : inputs) has_types = has_types || !input.token_types.empty();
  for (const EncoderInput& input : inputs) {
    SequenceSpan span;
    span.begin = static_cast<int32_t>(tokens.size());
    for (size_t i = 0; i < input.tokens.size(); ++i) {
      if (i % kKvBlock == 0) blocks.push_back(static_cast<int32_t>(blocks.size()));
      tokens.push_back(input.tokens[i]);
      positions.push_back(static_cast<int32_t>(i));
      if (has_types) types.push_back(input.token_types.empty() ? 0 : input.token_types[i]);
    }
    span.end = static_cast<int32_t>(tokens.size());
    spans.push_back(span);
  }
  size_t block = 0;
  for (SequenceSpan& span : spans) {
    span.blocks = blocks.data() + block;
    block += static_cast<size_t>((span.end - span.begin + kKvBlock - 1) / kKvBlock);
  }
  if (kv_ == nullptr || kv_->num_blocks() < static_cast<int64_t>(blocks.size())) {
    kv_.reset();
    kv_ = std::make_unique<nn::KvCache>(/*num_layers=*/1, static_cast<int64_t>(blocks.size()), config.kv_heads, config.head_dim,
                                        engine_.kv_type);
  }
  Arena::Scope scope(arena_);
  const ForwardContext ctx{*engine_.backend, arena_, engine_.options.compute, observer};
  const TensorView hidden = engine_.model().forward(ctx, {tokens, positions, types, spans}, *kv_);
  for (size_t i = 0; i < spans.size(); ++i) {
    Arena::Scope visit_scope(arena_);
    visit(ctx, first + i, hidden.slice_rows(spans[i].begin, spans[i].end));
  }
}

}  // namespace citius
