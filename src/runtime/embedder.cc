#include "runtime/embedder.h"

#include <algorithm>

#include "base/error.h"
#include "heads/head.h"
#include "io/safetensors.h"
#include "tensor/finite.h"

namespace citius {
namespace {

ActivationKind dense_activation(const std::string& name, const std::string& where) {
  if (name == "identity") return ActivationKind::kNone;
  if (name == "tanh") return ActivationKind::kTanh;
  if (name == "relu") return ActivationKind::kRelu;
  if (name == "sigmoid") return ActivationKind::kSigmoid;
  if (name == "gelu") return ActivationKind::kGelu;
  if (name == "silu") return ActivationKind::kSilu;
  fail_input(where, "activation '{}' is not supported, expected identity, tanh, relu, sigmoid, gelu or silu", name);
}

}  // namespace

Embedder::Embedder(Engine& engine, const EmbedderOptions& options) : engine_(engine), options_(options), encoder_(engine) {
  finish_loading(engine.loaded, head_of(engine.checkpoint));
  const std::string where = engine.checkpoint.path.string();
  if (engine.tokenizer == nullptr) fail_input(where, "has no tokenizer");
  const SentenceTransformersConfig config = read_sentence_transformers(engine.checkpoint, options.pooling);
  pooling_assumed_ = config.pooling_assumed;
  for (const std::string& name : config.pooling) {
    const std::optional<PoolingMode> mode = parse_pooling(name);
    if (!mode) fail_input(where, "pooling '{}' is not supported", name);
    pooling_.push_back(*mode);
  }
  prompt_ = config.prompt;
  dimensions_ = engine.model().config().hidden_size * static_cast<int64_t>(pooling_.size());
  for (const auto& dense : config.steps) steps_.push_back(dense ? std::optional(load_dense(*dense)) : std::nullopt);
  const int64_t asked = options.dimensions;
  if (asked < 0 || asked > dimensions_) {
    fail(ErrorKind::kUsage, "dimensions", "got {}, expected 1 to {}", asked, dimensions_);
  }
  if (asked > 0) {
    dimensions_ = asked;
  } else if (config.truncate_dim) {
    dimensions_ = std::min(dimensions_, *config.truncate_dim);
  }
  max_length_ = encoder_.max_length();
  if (config.max_seq_length) {
    max_length_ = std::min(max_length_, *config.max_seq_length);
  } else if (engine.tokenizer->model_max_length()) {
    max_length_ = std::min(max_length_, static_cast<int64_t>(*engine.tokenizer->model_max_length()));
  }
  if (options.max_length > 0) {
    const int64_t most = encoder_.max_length(), least = static_cast<int64_t>(engine.tokenizer->num_special_tokens(false)) + 1;
    if (options.max_length > most || options.max_length < least) {
      fail(ErrorKind::kUsage, "max-length", "got {}, expected {} to {}", options.max_length, least, most);
    }
    max_length_ = options.max_length;
  }
}

Embedder::Dense Embedder::load_dense(const SentenceTransformersConfig::Dense& dense) {
  const std::string where = dense.directory.string();
  if (dense.inputs != dimensions_) fail_input(where, "takes {} inputs, expected {}", dense.inputs, dimensions_);
  const auto container = open_safetensors(dense.directory);
  if (container == nullptr) fail_input(where, "model.safetensors is missing");
  const WeightSource source(container);
  const nn::LinearSpec spec{"linear.weight", dense.bias ? "linear.bias" : "", dense.outputs};
  LoadContext load{*engine_.backend, {}, 0, engine_.options.compute, {}};  // small: stays as given
  Dense loaded{nn::Linear::load(load, source, spec, dense.inputs), dense_activation(dense.activation, where)};
  source.finish();
  dimensions_ = dense.outputs;
  return loaded;
}

std::vector<float> Embedder::finish(const ForwardContext& ctx, const TensorView& hidden) const {
  const int64_t channels = hidden.shape[1];
  TensorView row = ctx.alloc({1, channels * static_cast<int64_t>(pooling_.size())});
  for (size_t i = 0; i < pooling_.size(); ++i) pool(pooling_[i], hidden, row.row(0) + static_cast<int64_t>(i) * channels);
  for (const std::optional<Dense>& dense : steps_) {
    if (dense) {
      row = dense->linear.forward(ctx, row, dense->activation);
    } else {
      normalize_l2({row.row(0), static_cast<size_t>(row.shape[1])});
    }
  }
  require_finite(row, engine_.checkpoint.path.string(), "embeddings");
  std::vector<float> result(row.row(0), row.row(0) + dimensions_);
  if (options_.normalize) normalize_l2(result);
  return result;
}

std::vector<std::vector<float>> Embedder::embed(std::span<const std::string> texts) {
  EncodeOptions encode;
  const std::optional<Truncation>& file = engine_.tokenizer->truncation();
  encode.truncation = Truncation{static_cast<size_t>(max_length_), 0, TruncationStrategy::kLongestFirst, file && file->from_left};
  std::vector<Encoding> encodings;
  std::vector<EncoderInput> inputs;
  truncated_.clear();
  for (const std::string& text : texts) {
    encodings.push_back(engine_.tokenizer->encode(prompt_ + text, encode));
    truncated_.push_back(encodings.back().num_truncated);
  }
  for (const Encoding& encoding : encodings) inputs.push_back({encoding.ids, encoding.type_ids});
  std::vector<std::vector<float>> vectors(texts.size());
  encoder_.run(inputs, [&](const ForwardContext& ctx, size_t index, const TensorView& hidden) { vectors[index] = finish(ctx, hidden); });
  return vectors;
}

}  // namespace citius
