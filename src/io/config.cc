#include "io/config.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace citius {
namespace {

bool present(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && !value->is_null();
}

// {"rope_type": ..., "rope_theta": ..., ...}: what stands in it goes before the same key beside it, except for the original length
// (transformers' standardize_rope_params()).
void split_rope_parameters(json::object& config, const JsonObject& parameters) {
  json::object scaling = parameters.object();
  for (const char* key : {"rope_theta", "partial_rotary_factor"}) {
    if (!parameters.has(key)) continue;
    config[key] = parameters.get_number(key);
    scaling.erase(key);
  }
  const std::string kind = parameters.get_string("rope_type", parameters.get_string("type", "default"));
  if (kind == "default") return;
  constexpr const char* kOriginal = "original_max_position_embeddings";
  if ((kind == "llama3" || kind == "yarn") && present(config, kOriginal)) scaling[kOriginal] = json::value(config[kOriginal]);
  config["rope_scaling"] = std::move(scaling);
}

}  // namespace

json::object normalize_config(json::object config, const std::string& where) {
  // transformers takes rope_scaling where a configuration has both.
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (!present(config, key)) continue;
    const JsonObject parameters = JsonObject(config, where).get_object(key);
    if (parameters.object().empty()) continue;
    const bool per_layer_type =
        std::any_of(parameters.object().begin(), parameters.object().end(), [](const auto& item) { return item.value().is_object(); });
    if (!per_layer_type) {
      const json::object copy = parameters.object();
      split_rope_parameters(config, JsonObject(copy, parameters.where()));
    }
    break;
  }
  if (present(config, "dtype") && !present(config, "torch_dtype")) config["torch_dtype"] = json::value(config["dtype"]);
  return config;
}

namespace {

class GgufConfig {
 public:
  GgufConfig(const GgufFile& gguf, std::string architecture) : gguf_(gguf), architecture_(std::move(architecture)) {}

  json::object make(std::string_view model_type) {
    config_["model_type"] = model_type;
    copy_count("block_count", "num_hidden_layers");
    copy_count("embedding_length", "hidden_size");
    copy_count("feed_forward_length", "intermediate_size");
    copy_count("context_length", "max_position_embeddings");
    copy_count("attention.head_count", "num_attention_heads");
    copy_count("attention.head_count_kv", "num_key_value_heads");
    copy_number("attention.layer_norm_rms_epsilon", "rms_norm_eps");
    copy_number("attention.layer_norm_epsilon", "layer_norm_eps");
    copy_number("attention.layer_norm_epsilon", "layer_norm_epsilon");
    if (gguf_.get_int(key("expert_count")).value_or(0) > 0) {
      fail_input(gguf_.where(), "is a mixture of {} experts, which is not supported", *gguf_.get_int(key("expert_count")));
    }
    refuse_scales();
    set_vocabulary();
    if (model_type == "bert") {
      config_["hidden_act"] = "gelu";
      config_["type_vocab_size"] = gguf_.get_int("tokenizer.ggml.token_type_count").value_or(2);
    } else if (model_type == "gpt2") {
      config_["activation_function"] = "gelu_new";
    } else {
      config_["hidden_act"] = "silu";
      set_heads();
      set_rope();
      set_window();
    }
    return std::move(config_);
  }

 private:
  std::string key(std::string_view name) const { return architecture_ + "." + std::string(name); }

  // A count that may be given per layer; layers that differ are not supported.
  std::optional<int64_t> count(std::string_view name) const {
    const GgufValue* value = gguf_.find(key(name));
    if (value == nullptr) return std::nullopt;
    if (value->type != GgufType::kArray) return gguf_.get_int(key(name));
    const std::vector<int64_t> per_layer = *gguf_.get_ints(key(name));
    if (per_layer.empty() || std::any_of(per_layer.begin(), per_layer.end(), [&](int64_t n) { return n != per_layer[0]; })) {
      fail_input(gguf_.where(), "{} differs between layers, which is not supported", key(name));
    }
    return per_layer[0];
  }

  void copy_count(std::string_view from, std::string_view to) {
    if (const auto value = count(from)) config_[to] = *value;
  }
  void copy_number(std::string_view from, std::string_view to) {
    if (const auto value = gguf_.get_number(key(from))) config_[to] = *value;
  }

  // Numbers that change what llama.cpp computes, with the value that changes nothing.
  void refuse_scales() const {
    constexpr std::pair<const char*, double> kNeutral[] = {
        {"rope.scaling.yarn_attn_factor", 1},
        {"rope.scaling.yarn_ext_factor", 1},
        {"rope.scaling.yarn_log_multiplier", 0},
        {"attention.scale", 0},
        {"attention.output_scale", 1},
        {"attention.temperature_scale", 0},
        {"attention.clamp_kqv", 0},
        {"attention.max_alibi_bias", 0},
        {"attn_logit_softcapping", 0},
        {"final_logit_softcapping", 0},
        {"logit_scale", 1},
        {"embedding_scale", 1},
        {"residual_scale", 1},
    };
    for (const auto& [name, neutral] : kNeutral) {
      const double value = gguf_.get_number(key(name)).value_or(neutral);
      if (value != neutral) fail_input(gguf_.where(), "{} is not supported, got {}, expected {}", key(name), value, neutral);
    }
  }

  void set_vocabulary() {
    if (gguf_.has("token_embd.weight")) {
      config_["vocab_size"] = gguf_.shape("token_embd.weight")[0];
    } else if (const auto size = gguf_.get_int(key("vocab_size"))) {
      config_["vocab_size"] = *size;
    } else if (const GgufValue* tokens = gguf_.find("tokenizer.ggml.tokens")) {
      config_["vocab_size"] = static_cast<int64_t>(tokens->count);
    }
    config_["tie_word_embeddings"] = !gguf_.has("output.weight");
  }

  void set_heads() {
    const std::optional<int64_t> hidden = count("embedding_length"), heads = count("attention.head_count");
    const std::optional<int64_t> keys = count("attention.key_length"), values = count("attention.value_length");
    if (keys && values && *keys != *values) {
      fail_input(gguf_.where(), "keys of {} and values of {} per head are not supported, expected the same", *keys, *values);
    }
    int64_t head_dim = keys.value_or(0);
    if (!keys && hidden && heads && *heads > 0) head_dim = *hidden / *heads;
    if (head_dim <= 0) return;
    config_["head_dim"] = head_dim;
    if (const auto rotary = count("rope.dimension_count"); rotary && *rotary != head_dim) {
      config_["partial_rotary_factor"] = static_cast<double>(*rotary) / static_cast<double>(head_dim);
    }
  }

  void set_rope() {
    config_["rope_theta"] = gguf_.get_number(key("rope.freq_base")).value_or(10000.0);
    std::string kind = gguf_.get_string(key("rope.scaling.type")).value_or("");
    std::optional<double> factor = gguf_.get_number(key("rope.scaling.factor"));
    if (const auto old_name = gguf_.get_number(key("rope.scale_linear")); old_name && kind.empty()) {
      factor = old_name;
      kind = "linear";
    }
    const double attn_factor = gguf_.get_number(key("rope.scaling.attn_factor")).value_or(1);
    if (!(attn_factor > 0)) {
      fail_input(gguf_.where(), "{}: got {}, expected more than 0", key("rope.scaling.attn_factor"), attn_factor);
    }
    if (attn_factor != 1 && kind != "yarn") {
      fail_input(gguf_.where(), "{} is supported with rope scaling yarn only, got {}, expected 1", key("rope.scaling.attn_factor"),
                 attn_factor);
    }
    if (kind.empty() || kind == "none") return;
    if (kind != "linear" && kind != "yarn") {
      fail_input(gguf_.where(), "rope scaling '{}' is not supported, expected none, linear or yarn", kind);
    }
    if (kind == "linear" && factor.value_or(1) == 1) return;
    json::object scaling{{"rope_type", kind}};
    if (factor) scaling["factor"] = *factor;
    const auto copy = [&](std::string_view from, std::string_view to) {
      if (const auto value = gguf_.get_number(key(from))) scaling[to] = *value;
    };
    copy("rope.scaling.original_context_length", "original_max_position_embeddings");
    copy("rope.scaling.yarn_beta_fast", "beta_fast");
    copy("rope.scaling.yarn_beta_slow", "beta_slow");
    // llama.cpp multiplies YaRN's own scale of attention by it; a configuration has no key for that.
    if (attn_factor != 1) scaling["gguf_attn_factor"] = attn_factor;
    config_["rope_scaling"] = std::move(scaling);
  }

  void set_window() {
    const auto window = count("attention.sliding_window");
    if (!window || *window <= 0) return;
    if (architecture_ != "llama") fail_input(gguf_.where(), "a sliding window is not supported for {}", architecture_);
    config_["model_type"] = "mistral";
    config_["sliding_window"] = *window;
  }

  const GgufFile& gguf_;
  std::string architecture_;
  json::object config_;
};

}  // namespace

json::object config_from_gguf(const GgufFile& gguf) {
  const std::optional<std::string> architecture = gguf.get_string("general.architecture");
  if (!architecture) fail_input(gguf.where(), "metadata key 'general.architecture' is missing");
  for (std::string_view known : {"llama", "qwen2", "qwen3", "gpt2", "bert"}) {
    if (*architecture == known) return GgufConfig(gguf, *architecture).make(known);
  }
  return {{"model_type", *architecture}};
}

json::object generation_config_from_gguf(const GgufFile& gguf) {
  json::object config;
  const auto token = [&](std::string_view key) -> std::optional<int64_t> {
    const auto id = gguf.get_int(key);
    return id && *id >= 0 && *id < 0xffffffff ? id : std::nullopt;  // older files write -1 as u32 for "none"
  };
  if (const auto bos = token("tokenizer.ggml.bos_token_id")) config["bos_token_id"] = *bos;
  if (const auto pad = token("tokenizer.ggml.padding_token_id")) config["pad_token_id"] = *pad;
  json::array ends;
  for (std::string_view key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    const auto id = token(key);
    if (id && std::find(ends.begin(), ends.end(), json::value(*id)) == ends.end()) ends.emplace_back(*id);
  }
  if (ends.size() == 1) {
    config["eos_token_id"] = ends[0];
  } else if (!ends.empty()) {
    config["eos_token_id"] = std::move(ends);
  }
  return config;
}

}  // namespace citius
