// Normalisation over the last axis.
#pragma once

#include "tensor/tensor_view.h"

namespace citius {

enum class NormKind : uint8_t {
  kLayerNorm,  // (x - mean) / sqrt(var + eps) · weight + bias; biased variance (Ba et al. 2016, eq. 4)
  kRmsNorm,    // x / sqrt(mean(x²) + eps) · weight (Zhang and Sennrich 2019, eq. 4)
};

/// y = norm(x), or norm(x + residual) where residual is given; the sum is then also written to `sum` where given.
/// x, residual, sum, y: [T, C] fp32, or [T, H, C] normalised for every head apart; strided along T. y may be x, sum may be
/// x or residual. Statistics of a row depend on that row alone.
struct NormArgs {
  TensorView x;
  TensorView residual;  // or empty
  TensorView sum;       // or empty
  NormKind kind = NormKind::kLayerNorm;
  const float* weight = nullptr;  // [C] or null for ones
  const float* bias = nullptr;    // [C] or null
  float epsilon = 0;
  TensorView y;
};

}  // namespace citius
