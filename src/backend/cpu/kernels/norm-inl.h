// LayerNorm and RMSNorm of single rows. Sums run in 4 × 16 lanes and are joined by a fixed tree, so that a row's result
// depends on that row alone.
#pragma once

#include "backend/cpu/op_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// Σ term(i, count) for i = 0, 16, 32, ... below `channels`, where term gives a vector whose lanes from `count` on are zero.
template <typename Term>
inline float sum_row(int64_t channels, const Term& term) {
  F32x16 total[4] = {zero_f32(), zero_f32(), zero_f32(), zero_f32()};
  int64_t i = 0;
  for (; i + 64 <= channels; i += 64) {
    for (int j = 0; j < 4; ++j) total[j] = total[j] + term(i + 16 * j, 16);
  }
  for (int j = 0; i < channels; i += 16, ++j) total[j] = total[j] + term(i, channels - i < 16 ? channels - i : 16);
  return sum_lanes((total[0] + total[1]) + (total[2] + total[3]));
}

inline F32x16 load_lanes(const float* p, int64_t count) { return count == 16 ? load_f32(p) : load_first(p, count); }
inline void store_lanes(float* p, F32x16 x, int64_t count) {
  if (count == 16) {
    store_f32(p, x);
  } else {
    store_first(p, x, count);
  }
}
inline F32x16 keep_lanes(F32x16 x, int64_t count) { return count == 16 ? x : select(first_lanes(count), x, zero_f32()); }

template <bool kCenter>
inline void norm_row(const NormTask& task, const float* x, float* y) {
  const int64_t channels = task.channels;
  const float count = static_cast<float>(channels);
  const float first = sum_row(channels, [&](int64_t i, int64_t lanes) {
    const F32x16 v = load_lanes(x + i, lanes);
    return kCenter ? v : v * v;
  });
  const float mean = kCenter ? first / count : 0.0f;
  const F32x16 center = set_f32(mean);
  float square = first;
  if constexpr (kCenter) {
    square = sum_row(channels, [&](int64_t i, int64_t lanes) {
      const F32x16 v = keep_lanes(load_lanes(x + i, lanes) - center, lanes);
      return v * v;
    });
  }
  const F32x16 inverse = set_f32(1.0f / __builtin_sqrtf(square / count + task.epsilon));
  for (int64_t i = 0; i < channels; i += 16) {
    const int64_t lanes = channels - i < 16 ? channels - i : 16;
    F32x16 v = load_lanes(x + i, lanes);
    if constexpr (kCenter) v = v - center;
    v = v * inverse;
    if (task.weight != nullptr) v = v * load_lanes(task.weight + i, lanes);
    if (task.bias != nullptr) v = v + load_lanes(task.bias + i, lanes);
    store_lanes(y + i, v, lanes);
  }
}

inline void norm(const NormTask& task) {
  for (int64_t t = task.begin; t < task.end; ++t) {
    for (int64_t h = 0; h < task.heads; ++h) {
      const int64_t at = h * task.channels;
      const float* x = task.x + t * task.x_stride + at;
      float* y = task.y + t * task.y_stride + at;
      if (task.center) {
        norm_row<true>(task, x, y);
      } else {
        norm_row<false>(task, x, y);
      }
    }
  }
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
