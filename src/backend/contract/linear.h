// Linear: y = act(x · Wᵀ + bias) + residual.
#pragma once

#include <optional>

#include "backend/contract/activation.h"
#include "backend/contract/norm.h"
#include "backend/packed_weight.h"
#include "tensor/tensor_view.h"

namespace citius {

/// The input of a product: x itself, or what is computed of x on the way and kept by nobody. Its bits are those that the ops norm and
/// gated would have given.
struct LinearInput {
  LinearInput() = default;
  LinearInput(const TensorView& x) : x(x) {}                                       // NOLINT: implicit by design
  LinearInput(const TensorView& x, const NormWeights& norm) : x(x), norm(norm) {}  // norm(x)
  LinearInput(const TensorView& gate, const TensorView& up, ActivationKind kind) : x(gate), up(up), gate(kind) {}  // act(gate) · up
  bool is_computed() const { return norm.has_value() || up; }

  TensorView x;  // [T, K] fp32, strided
  std::optional<NormWeights> norm;
  TensorView up;  // [T, K] fp32, strided, or empty
  ActivationKind gate = ActivationKind::kNone;
};

/// y[t, n] = act(Σ_k x[t, k] · W[n, k] + bias[n]) + residual[t, n].
///
/// The sum is one fp32 accumulator an output, over ascending k, so that y[t] depends on x[t], W and the instruction set
/// alone: not on the number of rows, nor on threads.
///   Compute::kExact and float activations: acc = fma(x[k], w[k], acc) with w decoded to fp32.
///   bf16 weights, fast: x rounded to bf16; pairs (2i, 2i+1) as vdpbf16ps: acc = fma(x[2i+1], w[2i+1], acc), then
///     acc = fma(x[2i], w[2i], acc), each rounded to nearest even, denormals flushed. With AMX's registers every whole 32 inputs are
///     summed by themselves: acc += a + b, a = fma(x[2i], w[2i], a) and b = fma(x[2i+1], w[2i+1], b) over ascending i from 0.
///   int8 activations, fast: x is quantized per token or per group of inputs (scale = max|x| / 127, q = round to nearest
///     even of x · (127 / max|x|), all zero where max|x| is 0); inside the smaller of activation group and weight group the
///     sum S of the products of q and the weights' codes is exact in int32; then acc = fma(float(S), w_scale · x_scale, acc), groups
///     ascending. Scales of two factors (w_scale = d · scale, min = -dmin · min) are products rounded to fp32 by themselves.
///     Formats with a zero (w = scale · (code - zero)): S - zero · Σ q takes the place of S, an integer that fp32 holds.
///     Formats with a minimum (w = scale · code + min): acc = fma(float(Σ q) · x_scale, min, acc) follows, its product rounded by itself.
struct LinearArgs {
  LinearInput input;                     // x [T, K]
  const PackedWeight* weight = nullptr;  // [N, K]
  const float* bias = nullptr;           // [N] or null
  ActivationKind activation = ActivationKind::kNone;
  TensorView residual;  // [T, N] fp32, strided, or empty; may be y itself
  TensorView y;         // [T, N] fp32, strided; must not overlap the input
  Compute compute = Compute::kFast;
};

}  // namespace citius
