// fp32 activations to int8: one scale a token or a group of inputs, and for each group of weights the value that takes care of
// weight offsets.
#pragma once

#include <stdint.h>

#include "backend/cpu/kernels/magnitude-inl.h"
#include "backend/cpu/linear_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// q = round(x · inverse) for `count` inputs, a multiple of 16 or the last ones of a row; returns Σ q.
template <bool kWide>
inline int32_t quantize_part(const float* x, int64_t count, float inverse, int8_t* codes) {
  I32x16 sum = zero_i32();
  const auto step = [&](int64_t i, F32x16 values) {
    const I32x16 q = to_i32(values * set_f32(inverse));
    if constexpr (kWide) {
      store_wide_quads(codes + i / 4 * kWideQuadBytes, q);
    } else {
      store_u8(reinterpret_cast<uint8_t*>(codes + i), q);
    }
    sum = sum + q;
  };
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) step(i, load_f32(x + i));
  if (i < count) step(i, load_first(x + i, count - i));
  return sum_lanes(sum);
}

/// Groups of inputs whose scales are computed together: a division for each of them by itself took longer than the codes.
inline constexpr int64_t kScaleGroups = 16;

/// The auxiliary values of `count` parts, `parts_per_scale` of which share a scale.
inline void store_aux(const QuantizeTask& t, const int32_t* sums, const float* scales, int64_t parts_per_scale, int64_t count, void* out) {
  auto* integers = static_cast<uint32_t*>(out);
  auto* floats = static_cast<float*>(out);
  for (int64_t i = 0; i < count; ++i) {
    switch (t.aux) {
      case AuxKind::kNone: break;
      // Unsigned, because a NaN among the inputs gives any sum; the scale is NaN then, and with it the result.
      case AuxKind::kOffset: integers[i] = 0u - static_cast<uint32_t>(t.offset) * static_cast<uint32_t>(sums[i]); break;
      case AuxKind::kSum: floats[i] = static_cast<float>(sums[i]); break;
      case AuxKind::kScaledSum: floats[i] = static_cast<float>(sums[i]) * scales[i / parts_per_scale]; break;
    }
  }
}

template <bool kWide>
void quantize_rows(const QuantizeTask& t) {
  constexpr int64_t kQuadBytes = kWide ? kWideQuadBytes : 4;
  const int64_t group = t.group == 0 ? t.cols : t.group;
  const int64_t part = t.aux_group == 0 ? group : t.aux_group;
  const int64_t parts_per_scale = group / part;  // 1 or 2
  for (int64_t row = 0; row < t.rows; ++row) {
    const float* x = t.x + row * t.x_stride;
    int8_t* codes = t.codes + row * t.code_stride;
    float* scales = t.scales + row * t.scale_stride;
    for (int64_t first = 0; first < t.cols / group; first += kScaleGroups) {
      const int64_t groups = t.cols / group - first < kScaleGroups ? t.cols / group - first : kScaleGroups;
      float most[kScaleGroups], inverse[kScaleGroups];
      for (int64_t g = 0; g < groups; ++g) most[g] = max_magnitude(x + (first + g) * group, group);
      const F32x16 m = load_first(most, groups), limit = set_f32(127.0f);
      store_first(scales + first, m / limit, groups);
      store_f32(inverse, select(less(zero_f32(), m), limit / m, zero_f32()));
      int32_t sums[2 * kScaleGroups];
      for (int64_t i = 0; i < groups * parts_per_scale; ++i) {
        const int64_t k = first * group + i * part;
        sums[i] = quantize_part<kWide>(x + k, part, inverse[i / parts_per_scale], codes + k / 4 * kQuadBytes);
      }
      const int64_t aux = row * t.aux_stride + first * parts_per_scale;
      store_aux(t, sums, scales + first, parts_per_scale, groups * parts_per_scale, static_cast<uint32_t*>(t.aux_out) + aux);
    }
    const int64_t written = (t.cols + 15) / 16 * 4 * kQuadBytes, padded = (t.cols + kBlock - 1) / kBlock * kBlock / 4 * kQuadBytes;
    for (int64_t i = written; i < padded; ++i) codes[i] = 0;
  }
}

void quantize(const QuantizeTask& t) { t.quad_bytes == 4 ? quantize_rows<false>(t) : quantize_rows<true>(t); }

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
