// RoBERTa (Liu et al. 2019) and XLM-R (Conneau et al. 2019): BERT whose positions begin after the padding id, with other
// heads.
#include "models/architectures.h"
#include "models/config_util.h"
#include "models/post_norm_encoder.h"

namespace citius {
namespace {

const PostNormNames kLayers = {"encoder.layer.{}",     "attention.self.query",   "attention.self.key",
                               "attention.self.value", "attention.output.dense", "attention.output.LayerNorm",
                               "intermediate.dense",   "output.dense",           "output.LayerNorm"};

class Roberta : public Model {
 public:
  Roberta(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& root) {
    const JsonObject json(checkpoint.config, checkpoint.path.string());
    read_config(json);
    prefix_ = root.has("roberta.embeddings.word_embeddings.weight") ? "roberta." : "";
    const WeightSource source = prefix_.empty() ? root : root.scope("roberta");
    const WeightSource embeddings = source.scope("embeddings");
    const int64_t C = config_.hidden_size;
    words_ = nn::Embedding::load(load, embeddings, "word_embeddings.weight", config_.vocab_size, C);
    positions_ = nn::Embedding::load(load, embeddings, "position_embeddings.weight", config_.max_positions + padding_ + 1, C);
    types_ = nn::Embedding::load(load, embeddings, "token_type_embeddings.weight", config_.token_types, C);
    embedding_norm_ = nn::Norm::load(embeddings, "LayerNorm", C, NormKind::kLayerNorm, epsilon_);
    encoder_.load(load, source, kLayers, config_, {epsilon_, activation_});
    root.ignore_suffix("embeddings.position_ids");
  }

  TensorView forward(const ForwardContext& ctx, const Batch& batch, nn::KvCache& kv) const override {
    const TensorView x = words_.forward(ctx, batch.tokens);  // [T, C]
    positions_.add_to(ctx, x, positions_after_padding(batch, padding_));
    add_token_types(ctx, types_, batch, x);
    embedding_norm_.forward_into(ctx, x, x);
    encoder_.forward(ctx, x, batch, kv);
    return x;
  }

  const nn::Embedding& token_embedding() const override { return words_; }

  std::optional<HeadLayout> head_layout(HeadKind kind) const override {
    HeadLayout layout;
    layout.norm_epsilon = epsilon_;
    switch (kind) {
      case HeadKind::kSequenceClassification:
        layout.pooling = HeadLayout::Pooling::kFirst;
        layout.steps = {linear_step("classifier.dense", ActivationKind::kTanh), linear_step("classifier.out_proj")};
        return layout;
      case HeadKind::kMultipleChoice:
        layout.pooling = HeadLayout::Pooling::kFirst;
        layout.steps = {linear_step(prefix_ + "pooler.dense", ActivationKind::kTanh), linear_step("classifier")};
        return layout;
      case HeadKind::kTokenClassification: layout.steps = {linear_step("classifier")}; return layout;
      case HeadKind::kQuestionAnswering: layout.steps = {linear_step("qa_outputs")}; return layout;
      case HeadKind::kMaskedLm:
        layout.steps = {linear_step("lm_head.dense", ActivationKind::kGelu),
                        norm_step("lm_head.layer_norm"),
                        {HeadStep::Kind::kLinear, tied_ ? "" : "lm_head.decoder", "lm_head.bias"}};
        layout.copies = {"lm_head.decoder.bias"};
        if (tied_) layout.copies.push_back("lm_head.decoder.weight");
        return layout;
      case HeadKind::kCausalLm: return std::nullopt;
    }
    return std::nullopt;
  }

  std::vector<std::string> pretraining_tensors() const override { return {prefix_ + "pooler.", "lm_head."}; }

 private:
  void read_config(const JsonObject& json) {
    config_.architecture = json.get_string("model_type");
    read_encoder_sizes(json, config_);
    config_.token_types = json.has("type_vocab_size") ? get_size(json, "type_vocab_size") : 2;
    padding_ = read_padding(json);
    config_.max_positions = get_size(json, "max_position_embeddings") - padding_ - 1;
    if (config_.max_positions < 1) {
      fail_input(json.where(), "max_position_embeddings must exceed pad_token_id + 1, got pad_token_id {}", padding_);
    }
    epsilon_ = get_epsilon(json, "layer_norm_eps", 1e-12);
    activation_ = parse_activation(json, json.get_string("hidden_act", "gelu"));
    tied_ = json.get_bool("tie_word_embeddings", true);
  }

  static int32_t read_padding(const JsonObject& json) {
    const int64_t padding = json.get_int("pad_token_id", 1);
    if (padding < 0 || padding > 1 << 20) fail_input(json.where(), "pad_token_id: got {}, expected 0 to {}", padding, 1 << 20);
    return static_cast<int32_t>(padding);
  }

  std::string prefix_;  // "roberta." in checkpoints of a task model
  int32_t padding_ = 1;
  double epsilon_ = 0;
  bool tied_ = true;
  ActivationKind activation_ = ActivationKind::kGelu;
  nn::Embedding words_, positions_, types_;
  nn::Norm embedding_norm_;
  PostNormEncoder encoder_;
};

}  // namespace

std::unique_ptr<Model> load_roberta(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source) {
  return std::make_unique<Roberta>(load, checkpoint, source);
}

}  // namespace citius
