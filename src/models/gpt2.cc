// GPT-2 (Radford et al. 2019): pre-norm decoder with learned positions. Hugging Face files store its weights [in, out]
// (Conv1D), GGUF files [out, in].
#include <cmath>

#include "models/architectures.h"
#include "models/config_util.h"

namespace citius {
namespace {

struct Layer {
  nn::Norm attention_norm, mlp_norm;
  nn::Attention attention;
  nn::Linear up, down;
};

struct Names {
  std::string words, positions, layer, final_norm;
  std::string attention_norm, qkv, out, mlp_norm, up, down;
};

const Names kHuggingFace = {"wte.weight",  "wpe.weight",  "h.{}", "ln_f",     "ln_1",
                            "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"};
const Names kGguf = {"token_embd.weight", "position_embd.weight", "blk.{}",   "output_norm", "attn_norm",
                     "attn_qkv",          "attn_output",          "ffn_norm", "ffn_up",      "ffn_down"};

// GPT-2's own configuration keys, or the common ones that a GGUF file's metadata is given under.
int64_t size_of(const JsonObject& json, const char* own, const char* common, int64_t limit = int64_t{1} << 24) {
  return get_size(json, json.has(own) ? own : common, limit);
}

class Gpt2 : public Model {
 public:
  Gpt2(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& root) {
    const JsonObject json(checkpoint.config, checkpoint.path.string());
    read_config(json);
    const bool gguf = root.is_gguf();
    const Names& names = gguf ? kGguf : kHuggingFace;
    const WeightSource source = !gguf && root.has("transformer.wte.weight") ? root.scope("transformer") : root;
    const int64_t C = config_.hidden_size;
    words_ = nn::Embedding::load(load, source, names.words, config_.vocab_size, C);
    positions_ = nn::Embedding::load(load, source, names.positions, config_.max_positions, C);
    for (int64_t i = 0; i < config_.num_layers; ++i) {
      layers_.push_back(load_layer(load, source.scope(fmt::format(fmt::runtime(names.layer), i)), names, i));
    }
    final_norm_ = nn::Norm::load(source, names.final_norm, C, NormKind::kLayerNorm, epsilon_);
    head_ = gguf ? "output" : "lm_head";
    tied_ = gguf ? !root.has("output.weight") : json.get_bool("tie_word_embeddings", true);
    if (tied_) root.ignore(head_ + ".weight");
    root.ignore_suffix(".attn.bias");  // the causal mask, in older files
    root.ignore_suffix(".attn.masked_bias");
  }

  TensorView forward(const ForwardContext& ctx, const Batch& batch, nn::KvCache& kv) const override {
    const TensorView x = words_.forward(ctx, batch.tokens);  // [T, C]
    positions_.add_to(ctx, x, batch.positions);
    const nn::AttentionBatch attention_batch{batch.positions, batch.sequences};
    const auto observe = [&](size_t layer) {
      if (ctx.observer != nullptr && ctx.observer->hidden) ctx.observer->hidden(static_cast<int>(layer), x);
    };
    observe(0);
    for (size_t i = 0; i < layers_.size(); ++i) {
      Arena::Scope scope(ctx.arena);
      const Layer& layer = layers_[i];
      const TensorView attended =
          layer.attention.forward(ctx, layer.attention_norm.input(x), attention_batch, kv.layer(static_cast<int64_t>(i)), x);
      const TensorView hidden = layer.up.forward(ctx, layer.mlp_norm.input(attended), activation_);
      layer.down.forward_into(ctx, hidden, x, attended);
      observe(i + 1);
    }
    return final_norm_.forward(ctx, x);
  }

  const nn::Embedding& token_embedding() const override { return words_; }

  std::optional<HeadLayout> head_layout(HeadKind kind) const override {
    if (kind != HeadKind::kCausalLm) return std::nullopt;
    HeadLayout layout;
    layout.steps = {{HeadStep::Kind::kLinear, tied_ ? "" : head_, ""}};
    return layout;
  }

  std::vector<std::string> pretraining_tensors() const override { return {head_ + "."}; }

 private:
  void read_config(const JsonObject& json) {
    config_.architecture = json.get_string("model_type");
    config_.causal = true;
    config_.hidden_size = size_of(json, "n_embd", "hidden_size");
    config_.num_layers = size_of(json, "n_layer", "num_hidden_layers", 4096);
    config_.heads = size_of(json, "n_head", "num_attention_heads", 4096);
    config_.max_positions = size_of(json, "n_positions", "max_position_embeddings");
    config_.vocab_size = get_size(json, "vocab_size");
    config_.intermediate_size = json.has("n_inner")             ? get_size(json, "n_inner")
                                : json.has("intermediate_size") ? get_size(json, "intermediate_size")
                                                                : 4 * config_.hidden_size;
    divide_heads(json, config_);
    epsilon_ = get_epsilon(json, json.has("layer_norm_epsilon") ? "layer_norm_epsilon" : "layer_norm_eps", 1e-5);
    const bool own_name = json.has("activation_function");
    activation_ = parse_activation(json, json.get_string(own_name ? "activation_function" : "hidden_act", "gelu_new"));
    scaled_ = json.get_bool("scale_attn_weights", true);
    scaled_by_layer_ = json.get_bool("scale_attn_by_inverse_layer_idx", false);
    if (json.get_bool("add_cross_attention", false)) fail_input(json.where(), "add_cross_attention is not supported");
  }

  Layer load_layer(LoadContext& load, const WeightSource& source, const Names& names, int64_t index) const {
    const int64_t C = config_.hidden_size, F = config_.intermediate_size;
    const bool transposed = !source.is_gguf();
    const auto spec = [&](const std::string& name, int64_t outputs) {
      return nn::LinearSpec{name + ".weight", name + ".bias", outputs, transposed};
    };
    float scale = scaled_ ? 1.0f / std::sqrt(static_cast<float>(config_.head_dim)) : 1.0f;
    if (scaled_by_layer_) scale /= static_cast<float>(index + 1);
    Layer layer;
    layer.attention_norm = nn::Norm::load(source, names.attention_norm, C, NormKind::kLayerNorm, epsilon_);
    layer.attention.config = {config_.heads, config_.heads, config_.head_dim, scale, /*causal=*/true, /*window=*/0};
    layer.attention.qkv = nn::LinearGroup::load(load, source, {spec(names.qkv, 3 * C)}, C);
    layer.attention.out = nn::Linear::load(load, source, spec(names.out, C), C);
    layer.mlp_norm = nn::Norm::load(source, names.mlp_norm, C, NormKind::kLayerNorm, epsilon_);
    layer.up = nn::Linear::load(load, source, spec(names.up, F), C);
    layer.down = nn::Linear::load(load, source, spec(names.down, C), F);
    return layer;
  }

  double epsilon_ = 0;
  bool scaled_ = true, scaled_by_layer_ = false, tied_ = true;
  ActivationKind activation_ = ActivationKind::kGeluTanh;
  nn::Embedding words_, positions_;
  std::vector<Layer> layers_;
  nn::Norm final_norm_;
  std::string head_;
};

}  // namespace

std::unique_ptr<Model> load_gpt2(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source) {
  return std::make_unique<Gpt2>(load, checkpoint, source);
}

}  // namespace citius
