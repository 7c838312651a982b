// Small random models in memory, for tests that need a whole model but no particular weights.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "io/checkpoint.h"
#include "runtime/engine.h"

namespace citius::test {

/// fp32 tensors by name.
class MemoryContainer : public TensorContainer {
 public:
  /// Normal numbers of this deviation around `mean`, fixed by the name.
  void add_random(const std::string& name, Shape shape, double deviation, double mean = 0) {
    uint64_t stream = 0;
    for (char c : name) stream = mix64(stream ^ static_cast<uint64_t>(static_cast<unsigned char>(c)));
    const CounterRng rng(17, stream);
    auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(shape.num_elements()));
    for (size_t i = 0; i < values->size(); ++i) (*values)[i] = static_cast<float>(mean + deviation * rng.normal(i));
    tensors_[name] = {shape, values};
    names_.push_back(name);
  }

  const std::vector<std::string>& names() const override { return names_; }
  bool has(std::string_view name) const override { return tensors_.contains(std::string(name)); }
  Shape shape(std::string_view name) const override { return tensors_.at(std::string(name)).shape; }
  bool is_float(std::string_view) const override { return true; }
  Format format(std::string_view) const override { return Format::kF32; }
  std::string where() const override { return "memory"; }
  bool is_gguf() const override { return false; }
  OwnedMatrix matrix(std::string_view name) const override {
    const Tensor& tensor = tensors_.at(std::string(name));
    const int64_t rows = tensor.shape.rank() == 1 ? 1 : tensor.shape[0];
    const auto* data = reinterpret_cast<const std::byte*>(tensor.values->data());
    return {{Format::kF32, rows, tensor.shape.num_elements() / rows, data}, tensor.values};
  }

 private:
  struct Tensor {
    Shape shape;
    std::shared_ptr<std::vector<float>> values;
  };
  std::map<std::string, Tensor> tensors_;
  std::vector<std::string> names_;
};

/// A Llama with grouped-query attention. Sizes are multiples of 256 where K-quants need it.
inline Checkpoint tiny_llama(int64_t C = 256, int64_t F = 512, int64_t V = 96, int64_t layers = 2) {
  constexpr int64_t H = 8, K = 2;
  const int64_t D = C / H;
  auto weights = std::make_shared<MemoryContainer>();
  weights->add_random("model.embed_tokens.weight", {V, C}, 1.0);
  for (int64_t i = 0; i < layers; ++i) {
    const std::string p = "model.layers." + std::to_string(i) + ".";
    const double scale = 1.0 / std::sqrt(static_cast<double>(C));
    weights->add_random(p + "input_layernorm.weight", {C}, 0.1, 1);
    weights->add_random(p + "post_attention_layernorm.weight", {C}, 0.1, 1);
    weights->add_random(p + "self_attn.q_proj.weight", {H * D, C}, scale);
    weights->add_random(p + "self_attn.k_proj.weight", {K * D, C}, scale);
    weights->add_random(p + "self_attn.v_proj.weight", {K * D, C}, scale);
    weights->add_random(p + "self_attn.o_proj.weight", {C, H * D}, scale);
    weights->add_random(p + "mlp.gate_proj.weight", {F, C}, scale);
    weights->add_random(p + "mlp.up_proj.weight", {F, C}, scale);
    weights->add_random(p + "mlp.down_proj.weight", {C, F}, scale);
  }
  weights->add_random("model.norm.weight", {C}, 0.1, 1);
  Checkpoint checkpoint;
  checkpoint.path = "tiny_llama";
  checkpoint.config = {{"model_type", "llama"},    {"hidden_size", C},         {"intermediate_size", F}, {"num_hidden_layers", layers},
                       {"num_attention_heads", H}, {"num_key_value_heads", K}, {"vocab_size", V},        {"max_position_embeddings", 1024},
                       {"rms_norm_eps", 1e-5},     {"hidden_act", "silu"},     {"rope_theta", 10000.0},  {"tie_word_embeddings", true}};
  checkpoint.weights = weights;
  return checkpoint;
}

/// A BERT body.
inline Checkpoint tiny_bert(int64_t C = 256, int64_t F = 512, int64_t V = 96, int64_t layers = 2) {
  constexpr int64_t H = 8;
  auto weights = std::make_shared<MemoryContainer>();
  const double scale = 1.0 / std::sqrt(static_cast<double>(C));
  auto linear = [&](const std::string& name, int64_t outputs, int64_t inputs) {
    weights->add_random(name + ".weight", {outputs, inputs}, scale);
    weights->add_random(name + ".bias", {outputs}, 0.1);
  };
  auto norm = [&](const std::string& name) {
    weights->add_random(name + ".weight", {C}, 0.1, 1);
    weights->add_random(name + ".bias", {C}, 0.1);
  };
  weights->add_random("embeddings.word_embeddings.weight", {V, C}, 1.0);
  weights->add_random("embeddings.position_embeddings.weight", {512, C}, 0.3);
  weights->add_random("embeddings.token_type_embeddings.weight", {2, C}, 0.3);
  norm("embeddings.LayerNorm");
  for (int64_t i = 0; i < layers; ++i) {
    const std::string p = "encoder.layer." + std::to_string(i) + ".";
    for (const char* name : {"query", "key", "value"}) linear(p + "attention.self." + name, C, C);
    linear(p + "attention.output.dense", C, C);
    norm(p + "attention.output.LayerNorm");
    linear(p + "intermediate.dense", F, C);
    linear(p + "output.dense", C, F);
    norm(p + "output.LayerNorm");
  }
  Checkpoint checkpoint;
  checkpoint.path = "tiny_bert";
  checkpoint.config = {{"model_type", "bert"},           {"hidden_size", C},         {"intermediate_size", F},
                       {"num_hidden_layers", layers},    {"num_attention_heads", H}, {"vocab_size", V},
                       {"max_position_embeddings", 512}, {"type_vocab_size", 2},     {"hidden_act", "gelu"},
                       {"layer_norm_eps", 1e-12}};
  checkpoint.weights = weights;
  return checkpoint;
}

/// An engine over a checkpoint in memory, without a tokenizer.
inline Engine make_engine(Checkpoint checkpoint, const EngineOptions& options) {
  std::unique_ptr<Backend> backend = make_backend(options.backend, {options.num_threads, options.isa});
  LoadedModel loaded = load_model(checkpoint, *backend, {options.policy, options.context});
  return {options, std::move(checkpoint), std::move(backend), nullptr, std::move(loaded)};
}

/// Ids that depend on `seed` alone.
inline std::vector<int32_t> random_ids(size_t count, int64_t vocab, uint64_t seed) {
  const CounterRng rng(seed);
  std::vector<int32_t> ids(count);
  for (size_t i = 0; i < count; ++i) ids[i] = static_cast<int32_t>(rng.bits(i) % static_cast<uint64_t>(vocab));
  return ids;
}

}  // namespace citius::test
