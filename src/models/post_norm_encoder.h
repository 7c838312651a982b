// The layers of BERT and its descendants: attention, norm of the sum, MLP, norm of the sum. Each architecture names its
// tensors and makes its own embeddings.
#pragma once

#include <string>
#include <vector>

#include "models/model.h"

namespace citius {

/// Names relative to a layer, without ".weight" and ".bias".
struct PostNormNames {
  std::string layer;  // pattern with {} for the index
  std::string q, k, v, out, attention_norm, up, down, mlp_norm;
};

struct PostNormConfig {
  double epsilon = 1e-12;
  ActivationKind activation = ActivationKind::kGelu;
  const std::vector<float>* bias = nullptr;  // [H, 2R + 1] relative position bias; outlives the encoder
  int64_t bias_radius = 0;
};

class PostNormEncoder {
 public:
  void load(LoadContext& load, const WeightSource& source, const PostNormNames& names, const ModelConfig& model,
            const PostNormConfig& config);

  /// Runs all layers on x [T, C] in place, showing it to the observer before and after each.
  void forward(const ForwardContext& ctx, const TensorView& x, const Batch& batch, nn::KvCache& kv) const;

 private:
  struct Layer {
    nn::Attention attention;
    nn::Norm attention_norm, mlp_norm;
    nn::Linear up, down;
  };
  ActivationKind activation_ = ActivationKind::kGelu;
  std::vector<Layer> layers_;
};

/// x[t] += table[token type of t] (type 0 where the batch has none). Throws Error{kInput} for a type beyond the table.
void add_token_types(const ForwardContext& ctx, const nn::Embedding& table, const Batch& batch, const TensorView& x);

/// Row of the position table for every token, as RoBERTa counts: padding + 1 for the first token; a padding token that
/// stands in the text gets row `padding` and is not counted. Encoders only (each sequence is whole).
std::vector<int32_t> positions_after_padding(const Batch& batch, int32_t padding);

}  // namespace citius
