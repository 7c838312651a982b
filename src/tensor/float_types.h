// Bit-exact conversions between fp32 and the 16-bit and 8-bit float types, round to nearest even.
#pragma once

#include <bit>
#include <cstdint>

namespace citius {

inline float bf16_to_f32(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }

inline uint16_t f32_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>((bits >> 16) | 0x40);  // quiet NaN
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/// Decodes a small float of the given exponent and mantissa widths. `ieee` gives the highest exponent to infinities and
/// NaN; otherwise (F8_E4M3) only the all-ones pattern is NaN.
inline float small_float_to_f32(uint32_t bits, int exponent_bits, int mantissa_bits, bool ieee) {
  const uint32_t sign = (bits >> (exponent_bits + mantissa_bits)) & 1;
  const uint32_t exponent = (bits >> mantissa_bits) & ((1u << exponent_bits) - 1);
  uint32_t mantissa = bits & ((1u << mantissa_bits) - 1);
  const uint32_t max_exponent = (1u << exponent_bits) - 1;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const bool all_ones = exponent == max_exponent && mantissa == (1u << mantissa_bits) - 1;
  if (ieee ? exponent == max_exponent : all_ones) {
    const bool nan = !ieee || mantissa != 0;
    const uint32_t payload = nan ? 0x400000u | (mantissa << (23 - mantissa_bits)) : 0;
    return std::bit_cast<float>((sign << 31) | 0x7f800000u | payload);
  }
  int e = static_cast<int>(exponent) - bias;
  if (exponent == 0) {
    if (mantissa == 0) return std::bit_cast<float>(sign << 31);
    e = 1 - bias;
    while ((mantissa >> mantissa_bits) == 0) {
      mantissa <<= 1;
      --e;
    }
    mantissa &= (1u << mantissa_bits) - 1;
  }
  return std::bit_cast<float>((sign << 31) | (static_cast<uint32_t>(e + 127) << 23) | (mantissa << (23 - mantissa_bits)));
}

inline float f16_to_f32(uint16_t bits) { return small_float_to_f32(bits, 5, 10, /*ieee=*/true); }
inline float f8_e4m3_to_f32(uint8_t bits) { return small_float_to_f32(bits, 4, 3, /*ieee=*/false); }
inline float f8_e5m2_to_f32(uint8_t bits) { return small_float_to_f32(bits, 5, 2, /*ieee=*/true); }

inline uint16_t f32_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000;
  const uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) {
    return static_cast<uint16_t>(sign | 0x7c00 | (magnitude > 0x7f800000 ? 0x200 | ((magnitude >> 13) & 0x3ff) : 0));
  }
  if (magnitude >= 0x477ff000) return static_cast<uint16_t>(sign | 0x7c00);  // rounds past 65504
  if (magnitude < 0x38800000) {                                              // subnormal half or zero
    // Adding 0.5 aligns the 10 mantissa bits with the end of the fp32 mantissa; the addition rounds to nearest even.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000));
  }
  const uint32_t rounded = magnitude + 0xfff + ((magnitude >> 13) & 1);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000) >> 13));
}

}  // namespace citius
