// BERT (Devlin et al. 2018): post-norm encoder with learned positions and token types.
#include "models/architectures.h"
#include "models/config_util.h"

namespace citius {
namespace {

struct Layer {
  nn::Attention attention;
  nn::Norm attention_norm, mlp_norm;
  nn::Linear up, down;
};

struct Names {
  std::string words, positions, types, embedding_norm, layer;
  std::string q, k, v, out, attention_norm, up, down, mlp_norm;
};

const Names kHuggingFace = {
    "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight", "embeddings.token_type_embeddings.weight",
    "embeddings.LayerNorm", "encoder.layer.{}",
    "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
    "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"};
const Names kGguf = {
    "token_embd.weight", "position_embd.weight", "token_types.weight", "token_embd_norm", "blk.{}",
    "attn_q", "attn_k", "attn_v", "attn_output", "attn_output_norm", "ffn_up", "ffn_down", "layer_output_norm"};

class Bert : public Model {
 public:
  Bert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& root) {
    const JsonObject json(checkpoint.config, checkpoint.path.string());
    read_config(json);
    const Names& names = root.is_gguf() ? kGguf : kHuggingFace;
    prefix_ = !root.is_gguf() && root.has("bert.embeddings.word_embeddings.weight") ? "bert." : "";
    const WeightSource source = prefix_.empty() ? root : root.scope("bert");
    const int64_t C = config_.hidden_size;
    words_ = nn::Embedding::load(load, source, names.words, config_.vocab_size, C);
    positions_ = nn::Embedding::load(load, source, names.positions, config_.max_positions, C);
    types_ = nn::Embedding::load(load, source, names.types, num_types_, C);
    embedding_norm_ = nn::Norm::load(source, names.embedding_norm, C, NormKind::kLayerNorm, epsilon_);
    for (int64_t i = 0; i < config_.num_layers; ++i) {
      layers_.push_back(load_layer(load, source.scope(fmt::format(fmt::runtime(names.layer), i)), names));
    }
    root.ignore_suffix("embeddings.position_ids");
    has_pooler_ = root.has(prefix_ + "pooler.dense.weight");
  }

  TensorView forward(const ForwardContext& ctx, const Batch& batch, nn::KvCache& kv) const override {
    TensorView sum = words_.forward(ctx, batch.tokens);  // [T, C]
    positions_.add_to(ctx, sum, batch.positions);
    const std::vector<int32_t> zeros(batch.token_types.empty() ? batch.tokens.size() : 0, 0);
    types_.add_to(ctx, sum, batch.token_types.empty() ? std::span<const int32_t>(zeros) : batch.token_types);
    TensorView x = embedding_norm_.forward(ctx, sum);
    const nn::AttentionBatch attention_batch{batch.positions, batch.sequences};
    const auto observe = [&](int layer) {
      if (ctx.observer != nullptr && ctx.observer->hidden) ctx.observer->hidden(layer, x);
    };
    observe(0);
    for (size_t i = 0; i < layers_.size(); ++i) {
      Arena::Scope scope(ctx.arena);
      const Layer& layer = layers_[i];
      const TensorView attended = layer.attention_norm.forward(
          ctx, layer.attention.forward(ctx, x, attention_batch, kv.layer(static_cast<int64_t>(i)), x));
      const TensorView hidden = layer.up.forward(ctx, attended, activation_);
      layer.mlp_norm.forward_into(ctx, layer.down.forward(ctx, hidden, ActivationKind::kNone, attended), x);
      observe(static_cast<int>(i) + 1);
    }
    return x;
  }

  const nn::Embedding& token_embedding() const override { return words_; }

  std::optional<HeadLayout> head_layout(HeadKind kind) const override {
    using Step = HeadStep;
    const Step pooler{Step::Kind::kLinear, prefix_ + "pooler.dense", prefix_ + "pooler.dense.bias", ActivationKind::kTanh};
    const Step classifier{Step::Kind::kLinear, "classifier", "classifier.bias"};
    HeadLayout layout;
    layout.norm_epsilon = epsilon_;
    switch (kind) {
      case HeadKind::kSequenceClassification:
      case HeadKind::kMultipleChoice:
        layout.pooling = HeadLayout::Pooling::kFirst;
        layout.steps = {pooler, classifier};
        return layout;
      case HeadKind::kTokenClassification:
        layout.steps = {classifier};
        return layout;
      case HeadKind::kQuestionAnswering:
        layout.steps = {{Step::Kind::kLinear, "qa_outputs", "qa_outputs.bias"}};
        return layout;
      case HeadKind::kMaskedLm:
        layout.steps = {{Step::Kind::kLinear, "cls.predictions.transform.dense", "cls.predictions.transform.dense.bias", activation_},
                        {Step::Kind::kNorm, "cls.predictions.transform.LayerNorm", ""},
                        {Step::Kind::kLinear, "", "cls.predictions.bias"}};
        return layout;
      case HeadKind::kCausalLm:
        return std::nullopt;
    }
    return std::nullopt;
  }

 private:
  void read_config(const JsonObject& json) {
    config_.architecture = json.get_string("model_type");
    config_.hidden_size = get_size(json, "hidden_size");
    config_.num_layers = get_size(json, "num_hidden_layers", 4096);
    config_.vocab_size = get_size(json, "vocab_size");
    config_.max_positions = get_size(json, "max_position_embeddings");
    config_.heads = config_.kv_heads = get_size(json, "num_attention_heads", 4096);
    if (config_.hidden_size % config_.heads != 0) {
      fail_input(json.where(), "hidden_size {} is no multiple of num_attention_heads {}", config_.hidden_size, config_.heads);
    }
    config_.head_dim = config_.hidden_size / config_.heads;
    config_.intermediate_size = get_size(json, "intermediate_size");
    num_types_ = json.get_int("type_vocab_size", 2);
    epsilon_ = json.get_number("layer_norm_eps", 1e-12);
    activation_ = parse_activation(json, json.get_string("hidden_act", "gelu"));
    const std::string position_kind = json.get_string("position_embedding_type", "absolute");
    if (position_kind != "absolute") {
      fail_input(json.where(), "position_embedding_type '{}' is not supported, expected absolute", position_kind);
    }
    if (json.get_bool("is_decoder", false)) fail_input(json.where(), "is_decoder is not supported for bert");
  }

  Layer load_layer(LoadContext& load, const WeightSource& source, const Names& names) {
    const int64_t C = config_.hidden_size, F = config_.intermediate_size;
    Layer layer;
    layer.attention.config = {config_.heads, config_.heads, config_.head_dim, 0, false, 0};
    layer.attention.qkv = nn::LinearGroup::load(
        load, source, nn::qkv_specs(layer.attention.config, names.q, names.k, names.v, /*bias=*/true), C);
    layer.attention.out = nn::Linear::load(load, source, {names.out + ".weight", names.out + ".bias", C}, C);
    layer.attention_norm = nn::Norm::load(source, names.attention_norm, C, NormKind::kLayerNorm, epsilon_);
    layer.up = nn::Linear::load(load, source, {names.up + ".weight", names.up + ".bias", F}, C);
    layer.down = nn::Linear::load(load, source, {names.down + ".weight", names.down + ".bias", C}, F);
    layer.mlp_norm = nn::Norm::load(source, names.mlp_norm, C, NormKind::kLayerNorm, epsilon_);
    return layer;
  }

  std::string prefix_;  // "bert." in checkpoints of a task model
  bool has_pooler_ = false;
  int64_t num_types_ = 0;
  double epsilon_ = 0;
  ActivationKind activation_ = ActivationKind::kGelu;
  nn::Embedding words_, positions_, types_;
  nn::Norm embedding_norm_;
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<Model> load_bert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source) {
  return std::make_unique<Bert>(load, checkpoint, source);
}

}  // namespace citius
