// LayerNorm and RMSNorm with their weights.
#pragma once

#include <string>
#include <vector>

#include "nn/load_context.h"
#include "ops/ops.h"

namespace citius::nn {

class Norm {
 public:
  Norm() = default;
  /// Loads `name`.weight and, for LayerNorm unless told otherwise, `name`.bias. Files that were converted from TensorFlow
  /// call them gamma and beta.
  static Norm load(const WeightSource& source, const std::string& name, int64_t channels, NormKind kind, double epsilon, bool bias = true) {
    Norm norm;
    norm.kind_ = kind;
    norm.epsilon_ = static_cast<float>(epsilon);
    const bool greek = !source.has(name + ".weight") && source.has(name + ".gamma");
    norm.weight_ = source.vector(name + (greek ? ".gamma" : ".weight"), channels);
    if (kind == NormKind::kLayerNorm && bias) norm.bias_ = source.vector(name + (greek ? ".beta" : ".bias"), channels);
    return norm;
  }

  explicit operator bool() const { return !weight_.empty(); }
  /// x [T, C] → [T, C].
  TensorView forward(const ForwardContext& ctx, const TensorView& x) const { return ops::norm(ctx, x, weights()); }
  /// norm(x) as the input of a product, which computes it.
  LinearInput input(const TensorView& x) const { return {x, weights()}; }
  /// The same into y, which may be x. x may be [T, H, C]: every head is normalised apart.
  void forward_into(const ForwardContext& ctx, const TensorView& x, const TensorView& y) const { ops::norm_into(ctx, x, weights(), y); }

 private:
  NormWeights weights() const { return {kind_, weight_, bias_, epsilon_}; }

  NormKind kind_ = NormKind::kLayerNorm;
  float epsilon_ = 0;
  std::vector<float> weight_;
  std::vector<float> bias_;
};

}  // namespace citius::nn
