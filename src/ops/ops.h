// The op API: checks shapes, allocates results from the context's arena, and calls the backend. What each op means is in
// backend/contract/.
#pragma once

#include <span>

#include "ops/context.h"

namespace citius::ops {

/// act(x · Wᵀ + bias) + residual → [T, N]. `residual` may be empty.
TensorView linear(const ForwardContext& ctx, const TensorView& x, const PackedWeight& weight, const float* bias,
                  ActivationKind activation = ActivationKind::kNone, const TensorView& residual = {});

/// The same into y [T, N], which may be `residual` but must not overlap x.
void linear_into(const ForwardContext& ctx, const TensorView& x, const PackedWeight& weight, const float* bias, ActivationKind activation,
                 const TensorView& residual, const TensorView& y);

struct NormWeights {
  NormKind kind = NormKind::kLayerNorm;
  std::span<const float> weight;  // [C] or empty for ones
  std::span<const float> bias;    // [C] or empty
  float epsilon = 0;
};
/// norm(x) → same shape as x.
TensorView norm(const ForwardContext& ctx, const TensorView& x, const NormWeights& weights);
/// norm(x) → y, which may be x. x [T, C], or [T, H, C] normed for every head.
void norm_into(const ForwardContext& ctx, const TensorView& x, const NormWeights& weights, const TensorView& y);

/// act(gate) · up → [T, F], written over gate where it is dense, otherwise to new memory.
TensorView gated(const ForwardContext& ctx, const TensorView& gate, const TensorView& up, ActivationKind kind);
/// a += b.
void add_in_place(const ForwardContext& ctx, const TensorView& a, const TensorView& b);

/// Rotates x [T, H, D] in place.
void rope_in_place(const ForwardContext& ctx, const RopeArgs& args);
void kv_write(const ForwardContext& ctx, const KvWriteArgs& args);
/// → [T, H, D]; args.out is ignored.
TensorView attention(const ForwardContext& ctx, AttentionArgs args);

}  // namespace citius::ops
