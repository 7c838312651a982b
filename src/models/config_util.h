// Reading what several architectures have in common from their configurations.
#pragma once

#include <string>

#include "backend/contract/activation.h"
#include "base/error.h"
#include "base/json.h"
#include "models/model.h"

namespace citius {

/// Names as transformers' ACT2FN has them.
inline ActivationKind parse_activation(const JsonObject& config, const std::string& name) {
  if (name == "gelu") return ActivationKind::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") return ActivationKind::kGeluTanh;
  if (name == "quick_gelu") return ActivationKind::kQuickGelu;
  if (name == "relu") return ActivationKind::kRelu;
  if (name == "silu" || name == "swish") return ActivationKind::kSilu;
  if (name == "tanh") return ActivationKind::kTanh;
  if (name == "sigmoid") return ActivationKind::kSigmoid;
  fail_input(config.where(), "activation '{}' is not supported, expected gelu, gelu_new, quick_gelu, relu, silu or tanh", name);
}

/// A size that must be in [1, limit].
inline int64_t get_size(const JsonObject& config, std::string_view key, int64_t limit = int64_t{1} << 24) {
  const int64_t value = config.get_int(key);
  if (value < 1 || value > limit) fail_input(config.where(), "{}: got {}, expected 1 to {}", key, value, limit);
  return value;
}

/// The small number that a norm adds to the variance.
inline double get_epsilon(const JsonObject& config, std::string_view key, double fallback) {
  const double value = config.get_number(key, fallback);
  if (!(value >= 0 && value <= 1)) fail_input(config.where(), "{}: got {}, expected 0 to 1", key, value);
  return value;
}

/// Fills kv_heads and head_dim of a model without grouped queries.
inline void divide_heads(const JsonObject& config, ModelConfig& model) {
  if (model.hidden_size % model.heads != 0) {
    fail_input(config.where(), "hidden size {} is no multiple of the {} attention heads", model.hidden_size, model.heads);
  }
  model.kv_heads = model.heads;
  model.head_dim = model.hidden_size / model.heads;
}

/// layer_types of a model of `num_layers` layers: which of them see a sliding window only.
inline std::vector<bool> read_sliding_layers(const JsonObject& config, int64_t num_layers) {
  const std::vector<std::string> types = config.get_strings("layer_types");
  if (static_cast<int64_t>(types.size()) != num_layers) {
    fail_input(config.where(), "layer_types: got {} entries, expected {}", types.size(), num_layers);
  }
  std::vector<bool> sliding;
  for (const std::string& type : types) {
    if (type != "full_attention" && type != "sliding_attention") {
      fail_input(config.where(), "layer type '{}' is not supported, expected full_attention or sliding_attention", type);
    }
    sliding.push_back(type == "sliding_attention");
  }
  return sliding;
}

/// The sizes that encoders of BERT's line name alike, and what none of them is supported with.
inline void read_encoder_sizes(const JsonObject& config, ModelConfig& model) {
  model.hidden_size = get_size(config, "hidden_size");
  model.num_layers = get_size(config, "num_hidden_layers", 4096);
  model.vocab_size = get_size(config, "vocab_size");
  model.heads = get_size(config, "num_attention_heads", 4096);
  model.intermediate_size = get_size(config, "intermediate_size");
  divide_heads(config, model);
  const std::string positions = config.get_string("position_embedding_type", "absolute");
  if (positions != "absolute") {
    fail_input(config.where(), "position_embedding_type '{}' is not supported, expected absolute", positions);
  }
  if (config.get_bool("is_decoder", false)) fail_input(config.where(), "is_decoder is not supported for {}", model.architecture);
}

/// A linear layer of a head, with its bias.
inline HeadStep linear_step(const std::string& name, ActivationKind activation = ActivationKind::kNone) {
  return {HeadStep::Kind::kLinear, name, name + ".bias", activation};
}

inline HeadStep norm_step(const std::string& name, bool bias = true) { return {HeadStep::Kind::kNorm, name, bias ? name + ".bias" : ""}; }

}  // namespace citius
