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
  for (int64_t i = 0; i < count; i += 16) {
    const I32x16 q = to_i32(load_first(x + i, count - i) * set_f32(inverse));
    if constexpr (kWide) {
      store_wide_quads(codes + i / 4 * kWideQuadBytes, q);
    } else {
      store_u8(reinterpret_cast<uint8_t*>(codes + i), q);
    }
    sum = sum + q;
  }
  return sum_lanes(sum);
}

inline void store_aux(const QuantizeTask& t, int64_t row, int64_t index, int32_t sum, float scale) {
  const int64_t at = row * t.aux_stride + index;
  switch (t.aux) {
    case AuxKind::kNone: break;
    // Unsigned, because a NaN among the inputs gives any sum; the scale is NaN then, and with it the result.
    case AuxKind::kOffset: static_cast<uint32_t*>(t.aux_out)[at] = 0u - static_cast<uint32_t>(t.offset) * static_cast<uint32_t>(sum); break;
    case AuxKind::kSum: static_cast<float*>(t.aux_out)[at] = static_cast<float>(sum); break;
    case AuxKind::kScaledSum: static_cast<float*>(t.aux_out)[at] = static_cast<float>(sum) * scale; break;
  }
}

template <bool kWide>
void quantize_rows(const QuantizeTask& t) {
  constexpr int64_t kQuadBytes = kWide ? kWideQuadBytes : 4;
  const int64_t group = t.group == 0 ? t.cols : t.group;
  const int64_t part = t.aux_group == 0 ? group : t.aux_group;
  for (int64_t row = 0; row < t.rows; ++row) {
    const float* x = t.x + row * t.x_stride;
    int8_t* codes = t.codes + row * t.code_stride;
    for (int64_t k = 0; k < t.cols; k += group) {
      const float most = max_magnitude(x + k, group);
      const float scale = most / 127.0f;
      const float inverse = most > 0 ? 127.0f / most : 0.0f;
      t.scales[row * t.scale_stride + k / group] = scale;
      for (int64_t i = k; i < k + group; i += part) {
        store_aux(t, row, i / part, quantize_part<kWide>(x + i, part, inverse, codes + i / 4 * kQuadBytes), scale);
      }
    }
    for (int64_t i = (t.cols + 15) / 16 * 4 * kQuadBytes; i < t.code_stride; ++i) codes[i] = 0;
  }
}

void quantize(const QuantizeTask& t) { t.quad_bytes == 4 ? quantize_rows<false>(t) : quantize_rows<true>(t); }

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
