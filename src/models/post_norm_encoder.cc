#include "models/post_norm_encoder.h"

#include "base/error.h"

namespace citius {

void PostNormEncoder::load(LoadContext& load, const WeightSource& source, const PostNormNames& names, const ModelConfig& model,
                           const PostNormConfig& config) {
  const int64_t C = model.hidden_size, F = model.intermediate_size;
  activation_ = config.activation;
  for (int64_t i = 0; i < model.num_layers; ++i) {
    const WeightSource scope = source.scope(fmt::format(fmt::runtime(names.layer), i));
    const auto linear = [&](const std::string& name, int64_t outputs, int64_t inputs) {
      return nn::Linear::load(load, scope, {name + ".weight", name + ".bias", outputs}, inputs);
    };
    const auto norm = [&](const std::string& name) { return nn::Norm::load(scope, name, C, NormKind::kLayerNorm, config.epsilon); };
    Layer layer;
    layer.attention.config = {model.heads, model.kv_heads, model.head_dim, /*scale=*/0, /*causal=*/false, /*window=*/0};
    layer.attention.qkv =
        nn::LinearGroup::load(load, scope, nn::qkv_specs(layer.attention.config, names.q, names.k, names.v, /*bias=*/true), C);
    layer.attention.out = linear(names.out, C, C);
    layer.attention.bias = config.bias;
    layer.attention.bias_radius = config.bias_radius;
    layer.attention_norm = norm(names.attention_norm);
    layer.up = linear(names.up, F, C);
    layer.down = linear(names.down, C, F);
    layer.mlp_norm = norm(names.mlp_norm);
    layers_.push_back(std::move(layer));
  }
}

void PostNormEncoder::forward(const ForwardContext& ctx, const TensorView& x, const Batch& batch, nn::KvCache& kv) const {
  const nn::AttentionBatch attention_batch{batch.positions, batch.sequences};
  const auto observe = [&](size_t layer) {
    if (ctx.observer != nullptr && ctx.observer->hidden) ctx.observer->hidden(static_cast<int>(layer), x);
  };
  observe(0);
  for (size_t i = 0; i < layers_.size(); ++i) {
    Arena::Scope scope(ctx.arena);
    const Layer& layer = layers_[i];
    const TensorView attended =
        layer.attention_norm.forward(ctx, layer.attention.forward(ctx, x, attention_batch, kv.layer(static_cast<int64_t>(i)), x));
    const TensorView hidden = layer.up.forward(ctx, attended, activation_);
    layer.mlp_norm.forward_into(ctx, layer.down.forward(ctx, hidden, ActivationKind::kNone, attended), x);
    observe(i + 1);
  }
}

void add_token_types(const ForwardContext& ctx, const nn::Embedding& table, const Batch& batch, const TensorView& x) {
  if (batch.token_types.empty()) {
    const std::vector<int32_t> zeros(batch.tokens.size(), 0);
    table.add_to(ctx, x, zeros);
    return;
  }
  for (int32_t type : batch.token_types) {
    if (type < 0 || type >= table.rows()) fail_input("input", "got token type {}, expected 0 to {}", type, table.rows() - 1);
  }
  table.add_to(ctx, x, batch.token_types);
}

std::vector<int32_t> positions_after_padding(const Batch& batch, int32_t padding) {
  std::vector<int32_t> rows(batch.tokens.size());
  for (const SequenceSpan& sequence : batch.sequences) {
    int32_t next = padding + 1;
    for (auto t = static_cast<size_t>(sequence.begin); t < static_cast<size_t>(sequence.end); ++t) {
      rows[t] = batch.tokens[t] == padding ? padding : next++;
    }
  }
  return rows;
}

}  // namespace citius
