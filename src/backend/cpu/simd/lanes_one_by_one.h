// Sums and maxima over the lanes of several vectors, where shuffling them together gains nothing. Included by a simd/<isa>.h at its end.
#pragma once

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// Lane n is the sum, or the largest, of the lanes of v[n], for n below kCount.
template <int kCount, int kVectors>
inline F32x16 sum_each(const F32x16 (&v)[kVectors]) {
  float lanes[16] = {};
  for (int n = 0; n < kCount; ++n) lanes[n] = sum_lanes(v[n]);
  return load_f32(lanes);
}
template <int kCount, int kVectors>
inline F32x16 max_each(const F32x16 (&v)[kVectors]) {
  float lanes[16] = {};
  for (int n = 0; n < kCount; ++n) lanes[n] = max_lanes(v[n]);
  return load_f32(lanes);
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
