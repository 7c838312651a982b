// What the format headers share: unaligned little-endian loads and stores, and the signature of a codec of one block.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <iterator>

#include "tensor/float_types.h"

namespace citius::quant {

static_assert(std::endian::native == std::endian::little, "weight formats are little endian");

inline uint16_t load_u16(const uint8_t* p) { return static_cast<uint16_t>(p[0] | (p[1] << 8)); }
inline uint32_t load_u32(const uint8_t* p) {
  uint32_t value;
  std::memcpy(&value, p, sizeof value);
  return value;
}
inline void store_u16(uint8_t* p, uint16_t value) { std::memcpy(p, &value, sizeof value); }
inline void store_u32(uint8_t* p, uint32_t value) { std::memcpy(p, &value, sizeof value); }

/// f16 to f32 without branches on common values, and without fp32 denormals on the way (threads flush them).
inline float load_f16(const uint8_t* p) {
  const uint32_t half = load_u16(p);
  const uint32_t sign = (half & 0x8000) << 16;
  const uint32_t magnitude = half & 0x7fff;
  if (magnitude >= 0x7c00) return f16_to_f32(static_cast<uint16_t>(half));  // infinity, NaN
  float value;
  if (magnitude < 0x400) {
    value = static_cast<float>(magnitude) * 0x1.0p-24f;
  } else {
    value = std::bit_cast<float>((magnitude << 13) + 0x38000000u);
  }
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

/// Decode and encode of one block of a format. Encoders are given finite values; `encode` returns false where a scale does
/// not fit in an f16.
struct BlockCodec {
  void (*decode)(const uint8_t* block, float* out) = nullptr;
  bool (*encode)(const float* values, uint8_t* block) = nullptr;
};

/// Stores `value` as f16; false where it is too large.
inline bool store_f16(uint8_t* p, float value) {
  const uint16_t bits = f32_to_f16(value);
  store_u16(p, bits);
  return (bits & 0x7fff) < 0x7c00;
}

/// 1 / d, or 0 where that is no finite number (d is zero or so small that its f16 is zero anyway).
inline float inverse_or_zero(float d) {
  const float inverse = d == 0 ? 0.0f : 1.0f / d;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

}  // namespace citius::quant
