#include "eval/random_weights.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/error.h"
#include "base/rng.h"

namespace citius {
namespace {

class Sizes {
 public:
  Sizes(const json::object& config, const std::string& where) : json_(config, where) {}

  bool flag(std::string_view key, bool fallback = false) const { return json_.get_bool(key, fallback); }
  std::string type() const { return json_.get_string("model_type"); }
  int64_t get(std::string_view key) const {
    const int64_t value = json_.get_int(key);
    if (value < 1 || value > int64_t{1} << 24) fail_input(json_.where(), "'{}' is {}, expected 1 to 16777216", key, value);
    return value;
  }
  int64_t get(std::string_view key, int64_t fallback) const { return json_.has(key) ? get(key) : fallback; }
  /// Of GPT-2, whose sizes have two names.
  std::string_view either(std::string_view name, std::string_view other) const { return json_.has(name) ? name : other; }
  int64_t layers(std::string_view key) const {
    const int64_t value = get(key);
    if (value > 4096) fail_input(json_.where(), "'{}' is {}, expected at most 4096", key, value);
    return value;
  }

 private:
  JsonObject json_;
};

using Tensors = std::vector<RandomTensor>;

void add_with_bias(Tensors& tensors, const std::string& name, Shape shape) {
  tensors.push_back({name + ".weight", shape});
  tensors.push_back({name + ".bias", {shape[0]}});
}

Tensors llama_tensors(const Sizes& config) {
  const int64_t C = config.get("hidden_size"), F = config.get("intermediate_size"), V = config.get("vocab_size");
  const int64_t H = config.get("num_attention_heads"), K = config.get("num_key_value_heads", H);
  const int64_t D = config.get("head_dim", C / H);
  const bool qkv_bias = config.type() == "qwen2" || config.flag("attention_bias"), qk_norm = config.type() == "qwen3";
  Tensors tensors = {{"model.embed_tokens.weight", {V, C}}, {"model.norm.weight", {C}}};
  if (!config.flag("tie_word_embeddings")) tensors.push_back({"lm_head.weight", {V, C}});
  for (int64_t i = 0; i < config.layers("num_hidden_layers"); ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i), attention = layer + "self_attn.", mlp = layer + "mlp.";
    tensors.push_back({layer + "input_layernorm.weight", {C}});
    tensors.push_back({layer + "post_attention_layernorm.weight", {C}});
    for (const auto& [name, outputs] : {std::pair("q_proj", H * D), std::pair("k_proj", K * D), std::pair("v_proj", K * D)}) {
      tensors.push_back({attention + name + ".weight", {outputs, C}});
      if (qkv_bias) tensors.push_back({attention + name + ".bias", {outputs}});
    }
    tensors.push_back({attention + "o_proj.weight", {C, H * D}});
    if (config.flag("attention_bias") && config.type() != "qwen2") tensors.push_back({attention + "o_proj.bias", {C}});
    if (qk_norm) {
      tensors.push_back({attention + "q_norm.weight", {D}});
      tensors.push_back({attention + "k_norm.weight", {D}});
    }
    for (const auto& [name, rows, cols] : {std::tuple("gate_proj", F, C), std::tuple("up_proj", F, C), std::tuple("down_proj", C, F)}) {
      tensors.push_back({mlp + name + ".weight", {rows, cols}});
      if (config.flag("mlp_bias")) tensors.push_back({mlp + name + ".bias", {rows}});
    }
  }
  return tensors;
}

// BERT, RoBERTa and MPNet, which name the products of attention in their own ways.
Tensors bert_tensors(const Sizes& config) {
  const bool mpnet = config.type() == "mpnet";
  const int64_t C = config.get("hidden_size"), F = config.get("intermediate_size");
  Tensors tensors = {{"embeddings.word_embeddings.weight", {config.get("vocab_size"), C}},
                     {"embeddings.position_embeddings.weight", {config.get("max_position_embeddings"), C}}};
  if (mpnet) {
    tensors.push_back(
        {"encoder.relative_attention_bias.weight", {config.get("relative_attention_num_buckets", 32), config.get("num_attention_heads")}});
  } else {
    tensors.push_back({"embeddings.token_type_embeddings.weight", {config.get("type_vocab_size", 2), C}});
  }
  const std::string norm = mpnet ? "attention.LayerNorm" : "attention.output.LayerNorm";
  const std::vector<std::string> products =
      mpnet ? std::vector<std::string>{"attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o"}
            : std::vector<std::string>{"attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense"};
  add_with_bias(tensors, "embeddings.LayerNorm", {C});
  for (int64_t i = 0; i < config.layers("num_hidden_layers"); ++i) {
    const std::string layer = fmt::format("encoder.layer.{}.", i);
    for (const std::string& name : products) add_with_bias(tensors, layer + name, {C, C});
    add_with_bias(tensors, layer + norm, {C});
    add_with_bias(tensors, layer + "intermediate.dense", {F, C});
    add_with_bias(tensors, layer + "output.dense", {C, F});
    add_with_bias(tensors, layer + "output.LayerNorm", {C});
  }
  return tensors;
}

Tensors modernbert_tensors(const Sizes& config) {
  const int64_t C = config.get("hidden_size"), F = config.get("intermediate_size");
  Tensors tensors = {{"embeddings.tok_embeddings.weight", {config.get("vocab_size"), C}}};
  const auto add = [&](const std::string& name, Shape shape, const char* bias) {
    if (config.flag(bias)) return add_with_bias(tensors, name, shape);
    tensors.push_back({name + ".weight", shape});
  };
  add("embeddings.norm", {C}, "norm_bias");
  for (int64_t i = 0; i < config.layers("num_hidden_layers"); ++i) {
    const std::string layer = fmt::format("layers.{}.", i);
    if (i > 0) add(layer + "attn_norm", {C}, "norm_bias");
    add(layer + "attn.Wqkv", {3 * C, C}, "attention_bias");
    add(layer + "attn.Wo", {C, C}, "attention_bias");
    add(layer + "mlp_norm", {C}, "norm_bias");
    add(layer + "mlp.Wi", {2 * F, C}, "mlp_bias");
    add(layer + "mlp.Wo", {C, F}, "mlp_bias");
  }
  add("final_norm", {C}, "norm_bias");
  return tensors;
}

Tensors distilbert_tensors(const Sizes& config) {
  const int64_t C = config.get("dim"), F = config.get("hidden_dim");
  Tensors tensors = {{"embeddings.word_embeddings.weight", {config.get("vocab_size"), C}},
                     {"embeddings.position_embeddings.weight", {config.get("max_position_embeddings"), C}}};
  add_with_bias(tensors, "embeddings.LayerNorm", {C});
  for (int64_t i = 0; i < config.layers("n_layers"); ++i) {
    const std::string layer = fmt::format("transformer.layer.{}.", i);
    for (const char* name : {"q_lin", "k_lin", "v_lin", "out_lin"}) add_with_bias(tensors, layer + "attention." + name, {C, C});
    add_with_bias(tensors, layer + "sa_layer_norm", {C});
    add_with_bias(tensors, layer + "ffn.lin1", {F, C});
    add_with_bias(tensors, layer + "ffn.lin2", {C, F});
    add_with_bias(tensors, layer + "output_layer_norm", {C});
  }
  return tensors;
}

Tensors gpt2_tensors(const Sizes& config) {
  const int64_t C = config.get(config.either("n_embd", "hidden_size")), V = config.get("vocab_size");
  const int64_t F = config.get(config.either("n_inner", "intermediate_size"), 4 * C);
  Tensors tensors = {{"transformer.wte.weight", {V, C}},
                     {"transformer.wpe.weight", {config.get(config.either("n_positions", "max_position_embeddings")), C}}};
  if (!config.flag("tie_word_embeddings", true)) tensors.push_back({"lm_head.weight", {V, C}});
  add_with_bias(tensors, "transformer.ln_f", {C});
  // GPT-2 stores its products as [inputs, outputs].
  const auto conv = [&](const std::string& name, int64_t inputs, int64_t outputs) {
    tensors.push_back({name + ".weight", {inputs, outputs}});
    tensors.push_back({name + ".bias", {outputs}});
  };
  for (int64_t i = 0; i < config.layers(config.either("n_layer", "num_hidden_layers")); ++i) {
    const std::string layer = fmt::format("transformer.h.{}.", i);
    add_with_bias(tensors, layer + "ln_1", {C});
    add_with_bias(tensors, layer + "ln_2", {C});
    conv(layer + "attn.c_attn", C, 3 * C);
    conv(layer + "attn.c_proj", C, C);
    conv(layer + "mlp.c_fc", C, F);
    conv(layer + "mlp.c_proj", F, C);
  }
  return tensors;
}

class RandomContainer : public TensorContainer {
 public:
  RandomContainer(Tensors tensors, std::string where, uint64_t seed) : where_(std::move(where)), seed_(seed) {
    for (RandomTensor& tensor : tensors) {
      names_.push_back(tensor.name);
      shapes_.emplace(std::move(tensor.name), tensor.shape);
    }
  }

  const std::vector<std::string>& names() const override { return names_; }
  bool has(std::string_view name) const override { return shapes_.find(name) != shapes_.end(); }
  Shape shape(std::string_view name) const override { return shapes_.find(name)->second; }
  bool is_float(std::string_view) const override { return true; }
  Format format(std::string_view) const override { return Format::kF32; }
  std::string where() const override { return where_; }
  bool is_gguf() const override { return false; }

  OwnedMatrix matrix(std::string_view name) const override {
    const Shape shape = this->shape(name);
    auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(shape.num_elements()));
    if (shape.rank() == 1) {
      const bool bias = name.ends_with(".bias");
      std::fill(values->begin(), values->end(), bias ? 0.0f : 1.0f);
    } else {
      // Four uniform 16-bit numbers from one draw; their sum is near enough to normal and quick to make.
      const CounterRng rng(seed_, mix64(std::hash<std::string_view>()(name)));
      for (size_t i = 0; i < values->size(); ++i) {
        const uint64_t bits = rng.bits(i);
        const double sum = static_cast<double>((bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48));
        (*values)[i] = static_cast<float>((sum / 65536 - 2) * (0.02 / 0.5773502691896257));
      }
    }
    const int64_t rows = shape.rank() == 1 ? 1 : shape[0], cols = shape.num_elements() / rows;
    return {{Format::kF32, rows, cols, reinterpret_cast<const std::byte*>(values->data())}, values};
  }

 private:
  std::vector<std::string> names_;
  std::map<std::string, Shape, std::less<>> shapes_;
  std::string where_;
  uint64_t seed_;
};

// Zeros, made where they are asked for: shapes at no cost, of models too that no machine could hold.
class ShapesOnly : public RandomContainer {
 public:
  ShapesOnly(Tensors tensors, std::string where) : RandomContainer(std::move(tensors), std::move(where), 0) {}

  OwnedMatrix matrix(std::string_view name) const override {
    const Shape shape = this->shape(name);
    const int64_t count = shape.num_elements(), rows = shape.rank() == 1 ? 1 : shape[0];
    const std::shared_ptr<void> zeros(std::calloc(static_cast<size_t>(count), sizeof(float)), std::free);  // no page is touched
    if (zeros == nullptr) fail(ErrorKind::kResource, where(), "no memory for {} weights", count);
    return {{Format::kF32, rows, count / rows, static_cast<const std::byte*>(zeros.get())}, zeros};
  }
};

}  // namespace

std::shared_ptr<const TensorContainer> zero_weights(const json::object& config, const std::string& where) {
  return std::make_shared<ShapesOnly>(tensors_of(config, where), where);
}

std::vector<RandomTensor> tensors_of(const json::object& config, const std::string& where) {
  static constexpr std::pair<std::string_view, Tensors (*)(const Sizes&)> kShapes[] = {
      {"bert", bert_tensors},     {"distilbert", distilbert_tensors}, {"gpt2", gpt2_tensors},       {"llama", llama_tensors},
      {"mistral", llama_tensors}, {"modernbert", modernbert_tensors}, {"mpnet", bert_tensors},      {"qwen2", llama_tensors},
      {"qwen3", llama_tensors},   {"roberta", bert_tensors},          {"xlm-roberta", bert_tensors}};
  const Sizes sizes(config, where);
  const std::string type = sizes.type();
  std::string known;
  for (const auto& [name, tensors] : kShapes) {
    if (type == name) return tensors(sizes);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
  }
  fail_input(where, "got a bare configuration of '{}', expected one of {}", type, known);
}

std::shared_ptr<const TensorContainer> random_weights(const json::object& config, const std::string& where, uint64_t seed) {
  return std::make_shared<RandomContainer>(tensors_of(config, where), where, seed);
}

}  // namespace citius
