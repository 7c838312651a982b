// Normalisation over the last axis.
#pragma once

#include "tensor/tensor_view.h"

namespace citius {

enum class NormKind : uint8_t {
  kLayerNorm,  // (x - mean) / sqrt(var + eps) · weight + bias; biased variance (Ba et al. 2016, eq. 4)
  kRmsNorm,    // x / sqrt(mean(x²) + eps) · weight (Zhang and Sennrich 2019, eq. 4)
};

/// y = norm(x). x and y: [T, C] fp32, or [T, H, C] normalised for every head apart; strided along T. y may be x. Statistics of
/// a row depend on that row alone.
struct NormArgs {
  TensorView x;
  NormKind kind = NormKind::kLayerNorm;
  const float* weight = nullptr;  // [C] or null for ones
  const float* bias = nullptr;    // [C] or null
  float epsilon = 0;
  TensorView y;
};

}  // namespace citius
