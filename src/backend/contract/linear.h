// Linear: y = act(x · Wᵀ + bias) + residual.
#pragma once

#include "backend/contract/activation.h"
#include "backend/packed_weight.h"
#include "tensor/tensor_view.h"

namespace citius {

/// y[t, n] = act(Σ_k x[t, k] · W[n, k] + bias[n]) + residual[t, n].
///
/// The sum is one fp32 accumulator an output, over ascending k, so that y[t] depends on x[t], W and the instruction set
/// alone: not on the number of rows, nor on threads.
///   Compute::kExact and float activations: acc = fma(x[k], w[k], acc) with w decoded to fp32.
///   bf16 weights, fast: x rounded to bf16; pairs (2i, 2i+1) as vdpbf16ps: acc = fma(x[2i+1], w[2i+1], acc), then
///     acc = fma(x[2i], w[2i], acc), each rounded to nearest even, denormals flushed.
///   int8 activations, fast: x is quantized per token or per group of inputs (scale = max|x| / 127, q = round to nearest
///     even of x · (127 / max|x|), all zero where max|x| is 0); inside the smaller of activation group and weight group the
///     sum of integer products is exact in int32; then acc = fma(float(sum), w_scale · x_scale, acc), groups ascending.
///     Formats with an offset (w = scale · q + min) add acc = fma(float(Σ q_x), min · x_scale, acc) after it.
struct LinearArgs {
  TensorView x;                          // [T, K] fp32, strided
  const PackedWeight* weight = nullptr;  // [N, K]
  const float* bias = nullptr;           // [N] or null
  ActivationKind activation = ActivationKind::kNone;
  TensorView residual;  // [T, N] fp32, strided, or empty; may be y itself
  TensorView y;         // [T, N] fp32, strided; must not overlap x
  Compute compute = Compute::kFast;
};

}  // namespace citius
