// DistilBERT (Sanh et al. 2019): BERT without token types and pooler, with names of its own.
#include "models/architectures.h"
#include "models/config_util.h"
#include "models/post_norm_encoder.h"

namespace citius {
namespace {

constexpr double kEpsilon = 1e-12;  // not configurable in transformers

const PostNormNames kLayers = {"transformer.layer.{}", "attention.q_lin", "attention.k_lin", "attention.v_lin",  "attention.out_lin",
                               "sa_layer_norm",        "ffn.lin1",        "ffn.lin2",        "output_layer_norm"};

class DistilBert : public Model {
 public:
  DistilBert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& root) {
    const JsonObject json(checkpoint.config, checkpoint.path.string());
    read_config(json);
    const bool nested = root.has("distilbert.embeddings.word_embeddings.weight");
    const WeightSource source = nested ? root.scope("distilbert") : root;
    const WeightSource embeddings = source.scope("embeddings");
    const int64_t C = config_.hidden_size;
    words_ = nn::Embedding::load(load, embeddings, "word_embeddings.weight", config_.vocab_size, C);
    positions_ = nn::Embedding::load(load, embeddings, "position_embeddings.weight", config_.max_positions, C);
    embedding_norm_ = nn::Norm::load(embeddings, "LayerNorm", C, NormKind::kLayerNorm, kEpsilon);
    encoder_.load(load, source, kLayers, config_, {kEpsilon, activation_});
    root.ignore_suffix("embeddings.position_ids");
  }

  TensorView forward(const ForwardContext& ctx, const Batch& batch, nn::KvCache& kv) const override {
    const TensorView x = words_.forward(ctx, batch.tokens);  // [T, C]
    positions_.add_to(ctx, x, batch.positions);
    embedding_norm_.forward_into(ctx, x, x);
    encoder_.forward(ctx, x, batch, kv);
    return x;
  }

  const nn::Embedding& token_embedding() const override { return words_; }

  std::optional<HeadLayout> head_layout(HeadKind kind) const override {
    HeadLayout layout;
    layout.norm_epsilon = kEpsilon;
    switch (kind) {
      case HeadKind::kSequenceClassification:
      case HeadKind::kMultipleChoice:
        layout.pooling = HeadLayout::Pooling::kFirst;
        layout.steps = {linear_step("pre_classifier", ActivationKind::kRelu), linear_step("classifier")};
        return layout;
      case HeadKind::kTokenClassification: layout.steps = {linear_step("classifier")}; return layout;
      case HeadKind::kQuestionAnswering: layout.steps = {linear_step("qa_outputs")}; return layout;
      case HeadKind::kMaskedLm:
        layout.steps = {linear_step("vocab_transform", activation_),
                        norm_step("vocab_layer_norm"),
                        {HeadStep::Kind::kLinear, tied_ ? "" : "vocab_projector", "vocab_projector.bias"}};
        if (tied_) layout.copies = {"vocab_projector.weight"};
        return layout;
      case HeadKind::kCausalLm: return std::nullopt;
    }
    return std::nullopt;
  }

  std::vector<std::string> pretraining_tensors() const override { return {"vocab_transform.", "vocab_layer_norm.", "vocab_projector."}; }

 private:
  void read_config(const JsonObject& json) {
    config_.architecture = json.get_string("model_type");
    config_.hidden_size = get_size(json, "dim");
    config_.num_layers = get_size(json, "n_layers", 4096);
    config_.heads = get_size(json, "n_heads", 4096);
    config_.intermediate_size = get_size(json, "hidden_dim");
    config_.vocab_size = get_size(json, "vocab_size");
    config_.max_positions = get_size(json, "max_position_embeddings");
    divide_heads(json, config_);
    activation_ = parse_activation(json, json.get_string("activation", "gelu"));
    tied_ = json.get_bool("tie_word_embeddings", true);
  }

  bool tied_ = true;
  ActivationKind activation_ = ActivationKind::kGelu;
  nn::Embedding words_, positions_;
  nn::Norm embedding_norm_;
  PostNormEncoder encoder_;
};

}  // namespace

std::unique_ptr<Model> load_distilbert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source) {
  return std::make_unique<DistilBert>(load, checkpoint, source);
}

}  // namespace citius
