// Llama and its relatives that differ in details: Mistral (sliding window), Qwen2 (biases on Q, K, V), Qwen3 (norms of
// queries and keys per head). Pre-norm decoder, RMSNorm, rotary positions, grouped-query attention, gated MLP.
#include "models/architectures.h"
#include "models/config_util.h"

namespace citius {
namespace {

struct Layer {
  nn::Norm attention_norm, mlp_norm;
  nn::Attention attention;
  nn::LinearGroup gate_up;
  nn::Linear down;
};

// Names of one container's conventions, relative to a layer unless they start at the root.
struct Names {
  std::string embedding, layer, final_norm;
  std::string attention_norm, mlp_norm, q, k, v, out, q_norm, k_norm, gate, up, down;
};

const Names kHuggingFace = {"embed_tokens.weight",
                            "layers.{}",
                            "norm",
                            "input_layernorm",
                            "post_attention_layernorm",
                            "self_attn.q_proj",
                            "self_attn.k_proj",
                            "self_attn.v_proj",
                            "self_attn.o_proj",
                            "self_attn.q_norm",
                            "self_attn.k_norm",
                            "mlp.gate_proj",
                            "mlp.up_proj",
                            "mlp.down_proj"};
const Names kGguf = {"token_embd.weight", "blk.{}",      "output_norm", "attn_norm", "ffn_norm", "attn_q",  "attn_k", "attn_v",
                     "attn_output",       "attn_q_norm", "attn_k_norm", "ffn_gate",  "ffn_up",   "ffn_down"};

class Llama : public Model {
 public:
  Llama(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& root) : tied_(false) {
    const JsonObject json(checkpoint.config, checkpoint.path.string());
    read_config(json);
    const bool gguf = root.is_gguf();
    const Names& names = gguf ? kGguf : kHuggingFace;
    const WeightSource source = gguf || !root.has("model.embed_tokens.weight") ? root : root.scope("model");
    embedding_ = nn::Embedding::load(load, source, names.embedding, config_.vocab_size, config_.hidden_size);
    load_rope(load, json, root);
    for (int64_t i = 0; i < config_.num_layers; ++i) {
      layers_.push_back(load_layer(load, source.scope(fmt::format(fmt::runtime(names.layer), i)), names, json, i));
    }
    final_norm_ = nn::Norm::load(source, names.final_norm, config_.hidden_size, NormKind::kRmsNorm, epsilon_);
    head_ = gguf ? "output" : "lm_head";
    tied_ = gguf ? !root.has("output.weight") : json.get_bool("tie_word_embeddings", false);
    if (tied_) root.ignore(head_ + ".weight");
    root.ignore_suffix("rotary_emb.inv_freq");
  }

  TensorView forward(const ForwardContext& ctx, const Batch& batch, nn::KvCache& kv) const override {
    TensorView x = embedding_.forward(ctx, batch.tokens);  // [T, C]
    const nn::AttentionBatch attention_batch{batch.positions, batch.sequences};
    const auto observe = [&](int layer) {
      if (ctx.observer != nullptr && ctx.observer->hidden) ctx.observer->hidden(layer, x);
    };
    observe(0);
    const TensorView next = ctx.alloc(x.shape);
    for (size_t i = 0; i < layers_.size(); ++i) {
      Arena::Scope scope(ctx.arena);
      const Layer& layer = layers_[i];
      const TensorView attended =
          layer.attention.forward(ctx, layer.attention_norm.input(x), attention_batch, kv.layer(static_cast<int64_t>(i)), x);
      const nn::LinearGroup::Views gate_up = layer.gate_up.forward(ctx, layer.mlp_norm.input(attended));
      layer.down.forward_into(ctx, {gate_up[0], gate_up[1], activation_}, next, attended);
      x = next;
      observe(static_cast<int>(i) + 1);
    }
    return final_norm_.forward(ctx, x);
  }

  const nn::Embedding& token_embedding() const override { return embedding_; }

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
    config_.hidden_size = get_size(json, "hidden_size");
    config_.num_layers = get_size(json, "num_hidden_layers", 4096);
    config_.vocab_size = get_size(json, "vocab_size");
    config_.max_positions = get_size(json, "max_position_embeddings");
    config_.heads = get_size(json, "num_attention_heads", 4096);
    config_.kv_heads = json.has("num_key_value_heads") ? get_size(json, "num_key_value_heads", 4096) : config_.heads;
    config_.head_dim = json.has("head_dim") ? get_size(json, "head_dim", 4096) : config_.hidden_size / config_.heads;
    config_.intermediate_size = get_size(json, "intermediate_size");
    if (config_.heads % config_.kv_heads != 0) {
      fail_input(json.where(), "num_attention_heads {} is no multiple of num_key_value_heads {}", config_.heads, config_.kv_heads);
    }
    epsilon_ = get_epsilon(json, "rms_norm_eps", 1e-6);
    activation_ = parse_activation(json, json.get_string("hidden_act", "silu"));
  }

  void load_rope(LoadContext& load, const JsonObject& json, const WeightSource& root) {
    const int64_t longest = nn::Rope::max_positions(json, config_.max_positions);
    const int64_t positions = load.max_context > 0 ? std::min(load.max_context, longest) : config_.max_positions;
    config_.max_positions = positions;
    // No class of this family in transformers rotates a part only; GGUF files may.
    const double share = json.get_number("partial_rotary_factor", 1.0);
    if (share != 1 && !root.is_gguf()) fail_input(json.where(), "partial_rotary_factor {} is not supported, expected 1", share);
    if (!(share > 0 && share <= 1)) fail_input(json.where(), "partial_rotary_factor: got {}, expected more than 0 and at most 1", share);
    const int64_t rotary = static_cast<int64_t>(static_cast<double>(config_.head_dim) * share);
    std::vector<float> factors;
    if (root.is_gguf() && root.has("rope_freqs.weight")) factors = root.vector("rope_freqs.weight", rotary / 2);
    // GGUF files of the Llama family have the rows of Q and K permuted so that rotation pairs are neighbours.
    const bool interleaved = root.is_gguf() && (config_.architecture == "llama" || config_.architecture == "mistral");
    rope_ = nn::Rope(json, rotary, positions, interleaved, factors);
  }

  // Sliding windows, with the defaults of transformers' classes: Llama has none, whatever its configuration names; Mistral has one for
  // all layers; Qwen switches it on and names the layers that have it, or the first of them.
  int64_t window(const JsonObject& json, int64_t layer) const {
    const bool is_mistral = config_.architecture == "mistral";
    if (config_.architecture == "llama") return 0;
    int64_t size = 0;
    if (is_mistral || json.get_bool("use_sliding_window", false)) {
      if (!json.object().contains("sliding_window")) size = 4096;
      if (json.has("sliding_window")) size = get_size(json, "sliding_window");  // null means none
    }
    if (is_mistral) return size;
    if (!json.has("layer_types")) return layer >= json.get_int("max_window_layers", 28) ? size : 0;
    const bool slides = read_sliding_layers(json, config_.num_layers)[static_cast<size_t>(layer)];
    if (slides && size == 0)
      fail_input(json.where(), "layer_types names sliding_attention, expected use_sliding_window and a size with it");
    return slides ? size : 0;
  }

  Layer load_layer(LoadContext& load, const WeightSource& source, const Names& names, const JsonObject& json, int64_t index) {
    const int64_t C = config_.hidden_size, F = config_.intermediate_size;
    const Biases biases = find_biases(source, names, json);
    Layer layer;
    layer.attention_norm = nn::Norm::load(source, names.attention_norm, C, NormKind::kRmsNorm, epsilon_);
    layer.mlp_norm = nn::Norm::load(source, names.mlp_norm, C, NormKind::kRmsNorm, epsilon_);
    nn::Attention& attention = layer.attention;
    attention.config = {config_.heads, config_.kv_heads, config_.head_dim, 0, true, window(json, index)};
    attention.qkv = nn::LinearGroup::load(load, source, nn::qkv_specs(attention.config, names.q, names.k, names.v, biases.qkv), C);
    attention.out = nn::Linear::load(load, source, spec(names.out, C, biases.out), config_.heads * config_.head_dim);
    attention.rope = &rope_;
    if (config_.architecture == "qwen3") {
      attention.q_norm = nn::Norm::load(source, names.q_norm, config_.head_dim, NormKind::kRmsNorm, epsilon_);
      attention.k_norm = nn::Norm::load(source, names.k_norm, config_.head_dim, NormKind::kRmsNorm, epsilon_);
    }
    layer.gate_up = nn::LinearGroup::load(load, source, {spec(names.gate, F, biases.mlp), spec(names.up, F, biases.mlp)}, C);
    layer.down = nn::Linear::load(load, source, spec(names.down, C, biases.mlp), F);
    return layer;
  }

  // Which projections have biases: the configuration says it; a GGUF file has no such key, its tensors say it.
  struct Biases {
    bool qkv, out, mlp;
  };
  Biases find_biases(const WeightSource& source, const Names& names, const JsonObject& json) const {
    const bool is_qwen2 = config_.architecture == "qwen2";
    if (source.is_gguf()) {
      return {is_qwen2 || source.has(names.q + ".bias"), source.has(names.out + ".bias"), source.has(names.up + ".bias")};
    }
    const bool attention = json.get_bool("attention_bias", false);
    return {is_qwen2 || attention, !is_qwen2 && attention, json.get_bool("mlp_bias", false)};
  }

  static nn::LinearSpec spec(const std::string& name, int64_t outputs, bool bias) {
    return {name + ".weight", bias ? name + ".bias" : "", outputs};
  }

  double epsilon_ = 0;
  ActivationKind activation_ = ActivationKind::kSilu;
  nn::Embedding embedding_;
  nn::Rope rope_;
  std::vector<Layer> layers_;
  nn::Norm final_norm_;
  std::string head_;
  bool tied_;
};

}  // namespace

std::unique_ptr<Model> load_llama(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source) {
  return std::make_unique<Llama>(load, checkpoint, source);
}

}  // namespace citius
