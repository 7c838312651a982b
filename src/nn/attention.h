// Self-attention: projections, optional norms of queries and keys, rotation, keys and values into the cache, attention.
#pragma once

#include <span>
#include <vector>

#include "nn/kv_cache.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/rope.h"

namespace citius::nn {

struct AttentionConfig {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  float scale = 0;  // 0: 1 / sqrt(head_dim)
  bool causal = false;
  int64_t window = 0;  // see AttentionArgs; 0 none
};

/// The packed sequences of one call, as attention needs them.
struct AttentionBatch {
  std::span<const int32_t> positions;  // [T]
  std::span<const SequenceSpan> sequences;
};

class Attention {
 public:
  AttentionConfig config;
  LinearGroup qkv;  // three weights, or one fused
  Linear out;
  Norm q_norm, k_norm;                       // per head; empty where the architecture has none
  const Rope* rope = nullptr;                // shared between layers
  const std::vector<float>* bias = nullptr;  // [H, 2R + 1] relative position bias, shared between layers
  int64_t bias_radius = 0;

  /// x [T, C] (to be normed where the architecture is pre-norm) → out(attention) + residual, [T, C].
  TensorView forward(const ForwardContext& ctx, const LinearInput& x, const AttentionBatch& batch, KvLayer& kv,
                     const TensorView& residual) const;
};

/// q, k, v of fused or separate projections → weight specs `{prefix}{name}.weight` / `.bias`.
std::vector<LinearSpec> qkv_specs(const AttentionConfig& config, const std::string& q, const std::string& k, const std::string& v,
                                  bool bias);

}  // namespace citius::nn
