// Normalisation over the last axis.
#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor_view.h"

namespace citius {

enum class NormKind : uint8_t {
  kLayerNorm,  // (x - mean) / sqrt(var + eps) · weight + bias; biased variance (Ba et al. 2016, eq. 4)
  kRmsNorm,    // x / sqrt(mean(x²) + eps) · weight (Zhang and Sennrich 2019, eq. 4)
};

struct NormWeights {
  NormKind kind = NormKind::kLayerNorm;
  std::span<const float> weight;  // [C] or empty for ones
  std::span<const float> bias;    // [C] or empty
  float epsilon = 0;
};

/// y = norm(x). x and y: [T, C] fp32, or [T, H, C] normalised for every head apart; strided along T. y may be x. Statistics of
/// a row depend on that row alone.
struct NormArgs {
  TensorView x;
  NormWeights weights;
  TensorView y;
};

}  // namespace citius
