#include "nn/attention.h"

#include <cmath>

namespace citius::nn {

std::vector<LinearSpec> qkv_specs(const AttentionConfig& config, const std::string& q, const std::string& k, const std::string& v,
                                  bool bias) {
  auto spec = [&](const std::string& name, int64_t heads) {
    return LinearSpec{name + ".weight", bias ? name + ".bias" : "", heads * config.head_dim};
  };
  return {spec(q, config.heads), spec(k, config.kv_heads), spec(v, config.kv_heads)};
}

TensorView Attention::forward(const ForwardContext& ctx, const LinearInput& x, const AttentionBatch& batch, KvLayer& kv,
                              const TensorView& residual) const {
  const int64_t T = x.x.rows(), H = config.heads, K = config.kv_heads, D = config.head_dim;
  LinearGroup::Views parts = qkv.forward(ctx, x);
  if (parts.size() == 1) {  // stored as one matrix
    const TensorView fused = parts[0];
    parts = {};
    parts.add(fused.slice_columns(0, H * D));
    parts.add(fused.slice_columns(H * D, (H + K) * D));
    parts.add(fused.slice_columns((H + K) * D, (H + 2 * K) * D));
  }
  const TensorView q = parts[0].reshape({T, H, D}), k = parts[1].reshape({T, K, D}), v = parts[2].reshape({T, K, D});
  if (q_norm) q_norm.forward_into(ctx, q, q);
  if (k_norm) k_norm.forward_into(ctx, k, k);
  AttentionArgs args;
  args.q = q;
  args.k = k;
  args.v = v;
  if (rope != nullptr) args.rope = rope->rotation(batch.positions);
  args.sequences = batch.sequences.data();
  args.num_sequences = static_cast<int64_t>(batch.sequences.size());
  args.kv = &kv;
  args.scale = config.scale > 0 ? config.scale : 1.0f / std::sqrt(static_cast<float>(D));
  args.causal = config.causal;
  args.window = config.window;
  args.bias = bias != nullptr ? bias->data() : nullptr;
  args.bias_radius = bias_radius;
  const TensorView attended = ops::attention(ctx, args);
  return out.forward(ctx, attended.reshape({T, H * D}), ActivationKind::kNone, residual);
}

}  // namespace citius::nn
