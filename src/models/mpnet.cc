// MPNet (Song et al. 2020): post-norm encoder with learned positions (counted as RoBERTa does) and a relative position bias
// that all layers share, in T5's logarithmic buckets.
#include <cmath>

#include "models/architectures.h"
#include "models/config_util.h"
#include "models/post_norm_encoder.h"

namespace citius {
namespace {

constexpr int32_t kPadding = 1;        // fixed in transformers, whatever pad_token_id says
constexpr int64_t kNumBuckets = 32;    // likewise
constexpr int64_t kMaxDistance = 128;  // from here on all distances share a bucket

const PostNormNames kLayers = {"encoder.layer.{}",    "attention.attn.q",   "attention.attn.k", "attention.attn.v", "attention.attn.o",
                               "attention.LayerNorm", "intermediate.dense", "output.dense",     "output.LayerNorm"};

// Bucket of a key at `distance` = key position - query position. In fp32, as transformers computes it.
int64_t bucket_of(int64_t distance) {
  constexpr int64_t kHalf = kNumBuckets / 2, kExact = kHalf / 2;
  const int64_t side = distance > 0 ? kHalf : 0;
  const int64_t n = std::abs(distance);
  if (n < kExact) return side + n;
  const float ratio = std::log(static_cast<float>(n) / kExact) / std::log(static_cast<float>(kMaxDistance) / kExact);
  return side + std::min(kExact + static_cast<int64_t>(ratio * static_cast<float>(kHalf - kExact)), kHalf - 1);
}

class MpNet : public Model {
 public:
  MpNet(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& root) {
    const JsonObject json(checkpoint.config, checkpoint.path.string());
    read_config(json);
    prefix_ = root.has("mpnet.embeddings.word_embeddings.weight") ? "mpnet." : "";
    const WeightSource source = prefix_.empty() ? root : root.scope("mpnet");
    const WeightSource embeddings = source.scope("embeddings");
    const int64_t C = config_.hidden_size;
    words_ = nn::Embedding::load(load, embeddings, "word_embeddings.weight", config_.vocab_size, C);
    positions_ = nn::Embedding::load(load, embeddings, "position_embeddings.weight", config_.max_positions + kPadding + 1, C);
    embedding_norm_ = nn::Norm::load(embeddings, "LayerNorm", C, NormKind::kLayerNorm, epsilon_);
    load_bias(source);
    encoder_.load(load, source, kLayers, config_, {epsilon_, activation_, &bias_, kMaxDistance});
    root.ignore_suffix("embeddings.position_ids");
  }

  TensorView forward(const ForwardContext& ctx, const Batch& batch, nn::KvCache& kv) const override {
    const TensorView x = words_.forward(ctx, batch.tokens);  // [T, C]
    positions_.add_to(ctx, x, positions_after_padding(batch, kPadding));
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
    config_.max_positions = get_size(json, "max_position_embeddings") - kPadding - 1;
    if (config_.max_positions < 1) fail_input(json.where(), "max_position_embeddings: expected 3 or more");
    if (json.get_int("relative_attention_num_buckets", kNumBuckets) != kNumBuckets) {
      fail_input(json.where(), "relative_attention_num_buckets: got {}, expected {}", json.get_int("relative_attention_num_buckets"),
                 kNumBuckets);
    }
    epsilon_ = get_epsilon(json, "layer_norm_eps", 1e-12);
    activation_ = parse_activation(json, json.get_string("hidden_act", "gelu"));
    tied_ = json.get_bool("tie_word_embeddings", true);
  }

  // Spreads the buckets over the distances: bias_[h][distance + R].
  void load_bias(const WeightSource& source) {
    const OwnedMatrix table = source.matrix("encoder.relative_attention_bias.weight", kNumBuckets, config_.heads);
    std::vector<float> buckets(static_cast<size_t>(kNumBuckets * config_.heads));  // [buckets, H]
    for (int64_t i = 0; i < kNumBuckets; ++i) {
      decode_row(table.matrix.format, table.matrix.row(i), config_.heads, buckets.data() + i * config_.heads);
    }
    for (int64_t head = 0; head < config_.heads; ++head) {
      for (int64_t distance = -kMaxDistance; distance <= kMaxDistance; ++distance) {
        bias_.push_back(buckets[static_cast<size_t>(bucket_of(distance) * config_.heads + head)]);
      }
    }
  }

  std::string prefix_;  // "mpnet." in checkpoints of a task model
  double epsilon_ = 0;
  bool tied_ = true;
  ActivationKind activation_ = ActivationKind::kGelu;
  nn::Embedding words_, positions_;
  nn::Norm embedding_norm_;
  std::vector<float> bias_;  // [H, 2 · kMaxDistance + 1]
  PostNormEncoder encoder_;
};

}  // namespace

std::unique_ptr<Model> load_mpnet(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source) {
  return std::make_unique<MpNet>(load, checkpoint, source);
}

}  // namespace citius
