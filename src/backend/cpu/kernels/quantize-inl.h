// fp32 activations to int8: one scale a token or a group of inputs, and for each group of weights the value that takes care of
// weight offsets.
#pragma once

#include <stdint.h>

#include "backend/cpu/kernels/magnitude-inl.h"
#include "backend/cpu/linear_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// q = round(x · inverse) for `count` inputs, a multiple of 16 or the last ones of a row; returns Σ q of each lane.
template <bool kWide>
inline I32x16 quantize_part(const float* x, int64_t count, float inverse, int8_t* codes) {
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
  return sum;
}

/// Lane n is one(v[n]) for n below `count`, as all(v) gives it of sixteen at once: which costs as much as four of them.
template <typename One, typename All>
inline I32x16 combine_first(const I32x16 (&v)[16], int64_t count, const One& one, const All& all) {
  if (count > 3) return all(v);
  I32x16 combined = set_i32(one(v[0]));
  for (int64_t n = 1; n < count; ++n) combined = select(first_lanes(n), combined, set_i32(one(v[n])));
  return combined;
}
inline I32x16 sum_first(const I32x16 (&v)[16], int64_t count) {
  return combine_first(v, count, [](I32x16 a) { return sum_lanes(a); }, [](const I32x16(&all)[16]) { return sum_each(all); });
}
inline I32x16 max_first(const I32x16 (&v)[16], int64_t count) {
  return combine_first(v, count, [](I32x16 a) { return max_lanes(a); }, [](const I32x16(&all)[16]) { return max_each(all); });
}

/// The auxiliary values of `count` parts, whose sums of codes are lanes of `sums`; kParts of them share one of the scales.
template <int kParts>
inline void store_aux(const QuantizeTask& t, I32x16 sums, const float* scales, int64_t count, float* out) {
  F32x16 values = to_f32(sums);
  switch (t.aux) {
    case AuxKind::kNone: return;
    case AuxKind::kOffset: values = as_f32(zero_i32() - set_i32(t.offset) * sums); break;
    case AuxKind::kSum: break;
    case AuxKind::kScaledSum: {
      float of_part[16];
      for (int i = 0; i < 16; ++i) of_part[i] = scales[i / kParts];
      values = values * load_f32(of_part);
    }
  }
  store_first(out, values, count);
}

/// kGroup inputs have a scale (0: any number), a kParts-th of them an auxiliary value. Groups of a row go through each step together,
/// as many as have their auxiliary values in one vector: lanes are combined and scales divided for all of them at once. What lanes
/// behind the last group hold is not used.
template <bool kWide, int64_t kGroup, int kParts>
void quantize_rows(const QuantizeTask& t) {
  constexpr int64_t kQuadBytes = kWide ? kWideQuadBytes : 4, kAtOnce = kGroup == 0 ? 1 : 16 / kParts;
  const int64_t group = kGroup != 0 ? kGroup : t.group != 0 ? t.group : t.cols, part = group / kParts;
  I32x16 lanes[16] = {};
  for (int64_t row = 0; row < t.rows; ++row) {
    const float* x = t.x + row * t.x_stride;
    int8_t* codes = t.codes + row * t.code_stride;
    float* aux = static_cast<float*>(t.aux_out) + row * t.aux_stride;
    for (int64_t first = 0; first < t.cols / group; first += kAtOnce) {
      const int64_t groups = kAtOnce == 1 || t.cols / group - first > kAtOnce ? kAtOnce : t.cols / group - first;
      for (int64_t g = 0; g < groups; ++g) lanes[g] = lane_magnitudes(x + (first + g) * group, group);
      const F32x16 m = as_f32(max_first(lanes, groups)), limit = set_f32(127.0f);
      float scale[16], inverse[16];
      store_f32(scale, m / limit);
      store_f32(inverse, select(less(zero_f32(), m), limit / m, zero_f32()));
      store_first(t.scales + row * t.scale_stride + first, m / limit, groups);
      for (int64_t i = 0; i < groups * kParts; ++i) {
        const int64_t k = first * group + i * part;
        lanes[i] = quantize_part<kWide>(x + k, part, inverse[i / kParts], codes + k / 4 * kQuadBytes);
      }
      const I32x16 sums = sum_first(lanes, groups * kParts);
      store_aux<kParts>(t, sums, scale, groups * kParts, aux + first * kParts);
    }
    const int64_t written = (t.cols + 15) / 16 * 4 * kQuadBytes, padded = (t.cols + kBlock - 1) / kBlock * kBlock / 4 * kQuadBytes;
    for (int64_t i = written; i < padded; ++i) codes[i] = 0;
  }
}

/// Groups of the formats have loops of a known length: those of 32 took twice the time without. Only they have auxiliary values for less.
template <bool kWide>
void quantize_groups(const QuantizeTask& t) {
  if (t.group == 32 && t.aux_group == 16) return quantize_rows<kWide, 32, 2>(t);
  if (t.group == 32) return quantize_rows<kWide, 32, 1>(t);
  if (t.group == 64) return quantize_rows<kWide, 64, 1>(t);
  if (t.group == 128) return quantize_rows<kWide, 128, 1>(t);
  quantize_rows<kWide, 0, 1>(t);
}

void quantize(const QuantizeTask& t) { t.quad_bytes == 4 ? quantize_groups<false>(t) : quantize_groups<true>(t); }

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
