// ModernBERT (Warner et al. 2024): pre-norm encoder with rotary positions, GeGLU, no biases, and layers that alternate
// between full attention and a local window, each kind with a rotation base of its own.
#include "models/architectures.h"
#include "models/config_util.h"

namespace citius {
namespace {

struct Layer {
  nn::Norm attention_norm;  // none in layer 0: the embeddings were normed
  nn::Attention attention;
  nn::Norm mlp_norm;
  nn::Linear in;   // [2F, C]: what is activated, then what it multiplies
  nn::Linear out;  // [C, F]
};

class ModernBert : public Model {
 public:
  ModernBert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& root) {
    const JsonObject json(checkpoint.config, checkpoint.path.string());
    read_config(json);
    const WeightSource source = root.has("model.embeddings.tok_embeddings.weight") ? root.scope("model") : root;
    const int64_t C = config_.hidden_size;
    words_ = nn::Embedding::load(load, source, "embeddings.tok_embeddings.weight", config_.vocab_size, C);
    embedding_norm_ = load_norm(source, "embeddings.norm");
    full_rope_ = make_rope(json, "full_attention", "global_rope_theta", 160000.0);
    local_rope_ = make_rope(json, "sliding_attention", "local_rope_theta", 10000.0);
    for (int64_t i = 0; i < config_.num_layers; ++i) layers_.push_back(load_layer(load, source, json, i));
    final_norm_ = load_norm(source, "final_norm");
  }

  TensorView forward(const ForwardContext& ctx, const Batch& batch, nn::KvCache& kv) const override {
    TensorView x = words_.forward(ctx, batch.tokens);  // [T, C]
    embedding_norm_.forward_into(ctx, x, x);
    const nn::AttentionBatch attention_batch{batch.positions, batch.sequences};
    const auto observe = [&](size_t layer) {
      if (ctx.observer != nullptr && ctx.observer->hidden) ctx.observer->hidden(static_cast<int>(layer), x);
    };
    observe(0);
    const int64_t F = config_.intermediate_size;
    for (size_t i = 0; i < layers_.size(); ++i) {
      Arena::Scope scope(ctx.arena);
      const Layer& layer = layers_[i];
      const LinearInput normed = layer.attention_norm ? layer.attention_norm.input(x) : x;
      const TensorView attended = layer.attention.forward(ctx, normed, attention_batch, kv.layer(static_cast<int64_t>(i)), x);
      const TensorView wide = layer.in.forward(ctx, layer.mlp_norm.input(attended));  // [T, 2F]
      layer.out.forward_into(ctx, {wide.slice_columns(0, F), wide.slice_columns(F, 2 * F), activation_}, x, attended);
      observe(i + 1);
    }
    return final_norm_.forward(ctx, x);
  }

  const nn::Embedding& token_embedding() const override { return words_; }

  std::optional<HeadLayout> head_layout(HeadKind kind) const override {
    HeadLayout layout;
    layout.norm_epsilon = epsilon_;
    layout.steps = {{HeadStep::Kind::kLinear, "head.dense", head_bias_ ? "head.dense.bias" : "", head_activation_},
                    norm_step("head.norm", norm_bias_)};
    switch (kind) {
      case HeadKind::kSequenceClassification:
      case HeadKind::kMultipleChoice:
        layout.pooling = pooling_;
        layout.steps.push_back(linear_step("classifier"));
        return layout;
      case HeadKind::kTokenClassification:
      case HeadKind::kQuestionAnswering: layout.steps.push_back(linear_step("classifier")); return layout;
      case HeadKind::kMaskedLm:
        layout.steps.push_back({HeadStep::Kind::kLinear, tied_ ? "" : "decoder", decoder_bias_ ? "decoder.bias" : ""});
        if (tied_) layout.copies = {"decoder.weight"};
        return layout;
      case HeadKind::kCausalLm: return std::nullopt;
    }
    return std::nullopt;
  }

  std::vector<std::string> pretraining_tensors() const override { return {"head.", "decoder."}; }

 private:
  void read_config(const JsonObject& json) {
    config_.architecture = json.get_string("model_type");
    read_encoder_sizes(json, config_);
    config_.max_positions = get_size(json, "max_position_embeddings");
    window_ = get_size(json, "local_attention") / 2;
    if (window_ == 0) fail_input(json.where(), "local_attention is 1, expected 2 or more: a token and its neighbours");
    epsilon_ = get_epsilon(json, "norm_eps", 1e-5);
    activation_ = parse_activation(json, json.get_string("hidden_activation", "gelu"));
    head_activation_ = parse_activation(json, json.get_string("classifier_activation", "gelu"));
    tied_ = json.get_bool("tie_word_embeddings", true);
    norm_bias_ = json.get_bool("norm_bias", false);
    head_bias_ = json.get_bool("classifier_bias", false);
    decoder_bias_ = json.get_bool("decoder_bias", true);
    const std::string pooling = json.get_string("classifier_pooling", "cls");
    if (pooling != "cls" && pooling != "mean") {
      fail_input(json.where(), "classifier_pooling '{}' is not supported, expected cls or mean", pooling);
    }
    pooling_ = pooling == "cls" ? HeadLayout::Pooling::kFirst : HeadLayout::Pooling::kMean;
  }

  // transformers 5 nests rope_parameters by kind of layer; before, there were two bases.
  nn::Rope make_rope(const JsonObject& json, const std::string& kind, const char* old_key, double fallback) const {
    json::object config;
    config["max_position_embeddings"] = config_.max_positions;
    config["rope_theta"] = json.get_number(old_key, fallback);
    if (json.has("rope_parameters") && json.get_object("rope_parameters").has(kind)) {
      const JsonObject parameters = json.get_object("rope_parameters").get_object(kind);
      config["rope_theta"] = parameters.get_number("rope_theta", fallback);
      config["rope_scaling"] = parameters.object();
    } else if (json.has("rope_scaling")) {
      config["rope_scaling"] = json.get_object("rope_scaling").object();
    }
    return nn::Rope(JsonObject(config, json.where()), config_.head_dim, config_.max_positions, /*interleaved=*/false);
  }

  bool is_local(const JsonObject& json, int64_t index) const {
    if (!json.has("layer_types")) return index % get_size(json, "global_attn_every_n_layers") != 0;
    return read_sliding_layers(json, config_.num_layers)[static_cast<size_t>(index)];
  }

  nn::Norm load_norm(const WeightSource& source, const std::string& name) const {
    return nn::Norm::load(source, name, config_.hidden_size, NormKind::kLayerNorm, epsilon_, norm_bias_);
  }

  Layer load_layer(LoadContext& load, const WeightSource& root, const JsonObject& json, int64_t index) const {
    const int64_t C = config_.hidden_size, F = config_.intermediate_size;
    const WeightSource source = root.scope(fmt::format("layers.{}", index));
    const bool attention_bias = json.get_bool("attention_bias", false), mlp_bias = json.get_bool("mlp_bias", false);
    const auto spec = [](const std::string& name, int64_t outputs, bool bias) {
      return nn::LinearSpec{name + ".weight", bias ? name + ".bias" : "", outputs};
    };
    const bool local = is_local(json, index);
    Layer layer;
    if (index > 0) layer.attention_norm = load_norm(source, "attn_norm");
    layer.attention.config = {config_.heads, config_.heads, config_.head_dim, /*scale=*/0, /*causal=*/false, local ? window_ : 0};
    layer.attention.qkv = nn::LinearGroup::load(load, source, {spec("attn.Wqkv", 3 * C, attention_bias)}, C);
    layer.attention.out = nn::Linear::load(load, source, spec("attn.Wo", C, attention_bias), C);
    layer.attention.rope = local ? &local_rope_ : &full_rope_;
    layer.mlp_norm = load_norm(source, "mlp_norm");
    layer.in = nn::Linear::load(load, source, spec("mlp.Wi", 2 * F, mlp_bias), C);
    layer.out = nn::Linear::load(load, source, spec("mlp.Wo", C, mlp_bias), F);
    return layer;
  }

  int64_t window_ = 0;
  double epsilon_ = 0;
  bool tied_ = true, norm_bias_ = false, head_bias_ = false, decoder_bias_ = true;
  ActivationKind activation_ = ActivationKind::kGelu, head_activation_ = ActivationKind::kGelu;
  HeadLayout::Pooling pooling_ = HeadLayout::Pooling::kFirst;
  nn::Embedding words_;
  nn::Norm embedding_norm_, final_norm_;
  nn::Rope full_rope_, local_rope_;
  std::vector<Layer> layers_;
};

}  // namespace

std::unique_ptr<Model> load_modernbert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source) {
  return std::make_unique<ModernBert>(load, checkpoint, source);
}

}  // namespace citius
