#include "heads/pooling.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace citius {

std::optional<PoolingMode> parse_pooling(std::string_view name) {
  if (name == "cls") return PoolingMode::kCls;
  if (name == "max") return PoolingMode::kMax;
  if (name == "mean") return PoolingMode::kMean;
  if (name == "mean_sqrt_len_tokens") return PoolingMode::kMeanSqrtLen;
  if (name == "weightedmean") return PoolingMode::kWeightedMean;
  if (name == "lasttoken" || name == "last") return PoolingMode::kLast;
  return std::nullopt;
}

void pool(PoolingMode mode, const TensorView& hidden, float* out) {
  const int64_t T = hidden.rows(), C = hidden.shape[1];
  CHECK(T >= 1);
  if (mode == PoolingMode::kCls || mode == PoolingMode::kLast) {
    const float* row = hidden.row(mode == PoolingMode::kCls ? 0 : T - 1);
    std::copy(row, row + C, out);
    return;
  }
  if (mode == PoolingMode::kMax) {
    std::copy(hidden.row(0), hidden.row(0) + C, out);
    for (int64_t t = 1; t < T; ++t) {
      for (int64_t c = 0; c < C; ++c) out[c] = std::max(out[c], hidden.row(t)[c]);
    }
    return;
  }
  std::vector<double> sum(static_cast<size_t>(C), 0.0);
  double total = 0;
  for (int64_t t = 0; t < T; ++t) {
    const double weight = mode == PoolingMode::kWeightedMean ? static_cast<double>(t + 1) : 1.0;
    total += weight;
    for (int64_t c = 0; c < C; ++c) sum[static_cast<size_t>(c)] += weight * static_cast<double>(hidden.row(t)[c]);
  }
  const double divisor = mode == PoolingMode::kMeanSqrtLen ? std::sqrt(total) : total;
  for (int64_t c = 0; c < C; ++c) out[c] = static_cast<float>(sum[static_cast<size_t>(c)] / divisor);
}

void normalize_l2(std::span<float> row) {
  double squares = 0;
  for (float value : row) squares += static_cast<double>(value) * static_cast<double>(value);
  const double length = std::max(std::sqrt(squares), 1e-12);
  for (float& value : row) value = static_cast<float>(static_cast<double>(value) / length);
}

}  // namespace citius
