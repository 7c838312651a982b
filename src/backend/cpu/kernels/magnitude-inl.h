// The largest of many values, as everything that rounds to int8 needs it.
#pragma once

#include <stdint.h>

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// The largest |x| of those that fall to each lane, as integers: there NaN is above everything, where fp32 maxima would lose it.
inline I32x16 lane_magnitudes(const float* x, int64_t count) {
  I32x16 most = zero_i32();
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) most = max(as_i32(abs(load_f32(x + i))), most);
  if (i < count) most = max(as_i32(abs(load_first(x + i, count - i))), most);
  return most;
}

/// The largest |x|; NaN where there is one.
inline float max_magnitude(const float* x, int64_t count) {
  const int32_t bits = max_lanes(lane_magnitudes(x, count));
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
