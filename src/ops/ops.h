// The op API: checks shapes, allocates results from the context's arena, and calls the backend. What each op means is in
// backend/contract/.
#pragma once

#include "ops/context.h"

namespace citius::ops {

/// act(x · Wᵀ + bias) + residual → [T, N]. `residual` may be empty.
TensorView linear(const ForwardContext& ctx, const LinearInput& x, const PackedWeight& weight, const float* bias,
                  ActivationKind activation = ActivationKind::kNone, const TensorView& residual = {});

/// The same into y [T, N], which may be `residual` but must not overlap x.
void linear_into(const ForwardContext& ctx, const LinearInput& x, const PackedWeight& weight, const float* bias, ActivationKind activation,
                 const TensorView& residual, const TensorView& y);

/// The input as a tensor: x itself, or its result by the op for it. → [T, K]
TensorView evaluate(const ForwardContext& ctx, const LinearInput& input);

/// norm(x) → same shape as x.
TensorView norm(const ForwardContext& ctx, const TensorView& x, const NormWeights& weights);
/// norm(x) → y, which may be x. x [T, C], or [T, H, C] normed for every head.
void norm_into(const ForwardContext& ctx, const TensorView& x, const NormWeights& weights, const TensorView& y);

/// a += b.
void add_in_place(const ForwardContext& ctx, const TensorView& a, const TensorView& b);

/// Writes the new keys and values, then attends → [T, H, D]; args.out is ignored.
TensorView attention(const ForwardContext& ctx, AttentionArgs args);

}  // namespace citius::ops
