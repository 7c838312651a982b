// BERT (Devlin et al. 2018): post-norm encoder with learned positions and token types.
#include "models/architectures.h"
#include "models/config_util.h"
#include "models/post_norm_encoder.h"

namespace citius {
namespace {

struct Names {
  std::string words, positions, types, embedding_norm;
  PostNormNames layers;
};

const Names kHuggingFace = {
    "embeddings.word_embeddings.weight",
    "embeddings.position_embeddings.weight",
    "embeddings.token_type_embeddings.weight",
    "embeddings.LayerNorm",
    {"encoder.layer.{}", "attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
     "attention.output.LayerNorm", "intermediate.dense", "output.dense", "output.LayerNorm"}};
const Names kGguf = {
    "token_embd.weight",
    "position_embd.weight",
    "token_types.weight",
    "token_embd_norm",
    {"blk.{}", "attn_q", "attn_k", "attn_v", "attn_output", "attn_output_norm", "ffn_up", "ffn_down", "layer_output_norm"}};

class Bert : public Model {
 public:
  Bert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& root) {
    const JsonObject json(checkpoint.config, checkpoint.path.string());
    read_config(json);
    const Names& names = root.is_gguf() ? kGguf : kHuggingFace;
    prefix_ = !root.is_gguf() && root.has("bert.embeddings.word_embeddings.weight") ? "bert." : "";
    const WeightSource source = prefix_.empty() ? root : root.scope("bert");
    const int64_t C = config_.hidden_size;
    words_ = nn::Embedding::load(load, source, names.words, config_.vocab_size, C);
    positions_ = nn::Embedding::load(load, source, names.positions, config_.max_positions, C);
    types_ = nn::Embedding::load(load, source, names.types, config_.token_types, C);
    embedding_norm_ = nn::Norm::load(source, names.embedding_norm, C, NormKind::kLayerNorm, epsilon_);
    encoder_.load(load, source, names.layers, config_, {epsilon_, activation_});
    root.ignore_suffix("embeddings.position_ids");
  }

  TensorView forward(const ForwardContext& ctx, const Batch& batch, nn::KvCache& kv) const override {
    const TensorView x = words_.forward(ctx, batch.tokens);  // [T, C]
    positions_.add_to(ctx, x, batch.positions);
    add_token_types(ctx, types_, batch, x);
    embedding_norm_.forward_into(ctx, x, x);
    encoder_.forward(ctx, x, batch, kv);
    return x;
  }

  const nn::Embedding& token_embedding() const override { return words_; }

  std::optional<HeadLayout> head_layout(HeadKind kind) const override {
    const HeadStep pooler = linear_step(prefix_ + "pooler.dense", ActivationKind::kTanh);
    HeadLayout layout;
    layout.norm_epsilon = epsilon_;
    switch (kind) {
      case HeadKind::kSequenceClassification:
      case HeadKind::kMultipleChoice:
        layout.pooling = HeadLayout::Pooling::kFirst;
        layout.steps = {pooler, linear_step("classifier")};
        return layout;
      case HeadKind::kTokenClassification: layout.steps = {linear_step("classifier")}; return layout;
      case HeadKind::kQuestionAnswering: layout.steps = {linear_step("qa_outputs")}; return layout;
      case HeadKind::kMaskedLm:
        layout.steps = {linear_step("cls.predictions.transform.dense", activation_),
                        norm_step("cls.predictions.transform.LayerNorm"),
                        {HeadStep::Kind::kLinear, tied_ ? "" : "cls.predictions.decoder", "cls.predictions.bias"}};
        layout.copies = {"cls.predictions.decoder.bias"};
        if (tied_) layout.copies.push_back("cls.predictions.decoder.weight");
        return layout;
      case HeadKind::kCausalLm: return std::nullopt;
    }
    return std::nullopt;
  }

  std::vector<std::string> pretraining_tensors() const override { return {prefix_ + "pooler.", "cls."}; }

 private:
  void read_config(const JsonObject& json) {
    config_.architecture = json.get_string("model_type");
    read_encoder_sizes(json, config_);
    config_.max_positions = get_size(json, "max_position_embeddings");
    config_.token_types = json.has("type_vocab_size") ? get_size(json, "type_vocab_size") : 2;
    epsilon_ = get_epsilon(json, "layer_norm_eps", 1e-12);
    activation_ = parse_activation(json, json.get_string("hidden_act", "gelu"));
    tied_ = json.get_bool("tie_word_embeddings", true);
  }

  std::string prefix_;  // "bert." in checkpoints of a task model
  double epsilon_ = 0;
  bool tied_ = true;
  ActivationKind activation_ = ActivationKind::kGelu;
  nn::Embedding words_, positions_, types_;
  nn::Norm embedding_norm_;
  PostNormEncoder encoder_;
};

}  // namespace

std::unique_ptr<Model> load_bert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source) {
  return std::make_unique<Bert>(load, checkpoint, source);
}

}  // namespace citius
