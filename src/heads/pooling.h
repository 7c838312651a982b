// Pooling: the hidden states of one sequence to one row, as sentence-transformers names the ways.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "tensor/tensor_view.h"

namespace citius {

enum class PoolingMode {
  kCls,  // the first token
  kMax,  // the largest value of each channel
  kMean,
  kMeanSqrtLen,   // sum / sqrt(T)
  kWeightedMean,  // token t (from 1) weighs t
  kLast,          // the last token
};

/// Name as sentence-transformers 5 writes it ("mean", "cls", "lasttoken", ...); nullopt for an unknown one.
std::optional<PoolingMode> parse_pooling(std::string_view name);

/// hidden [T, C], T at least 1 → out [C]. Sums run over ascending tokens in double.
void pool(PoolingMode mode, const TensorView& hidden, float* out);

/// Divides by the Euclidean length (or by 1e-12 where that is smaller).
void normalize_l2(std::span<float> row);

}  // namespace citius
