// Vectors of 16 lanes for 64-bit ARM: four registers each. Dot products of bytes, and multiply-adds of bf16, are instructions where
// the unit is compiled for them. See simd/avx512.h for what the functions mean.
#pragma once

#include <arm_neon.h>
#include <stdint.h>

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

struct Mask16 {
  uint32x4_t a, b, c, d;  // all ones or zero in every lane
};
struct I32x16 {
  int32x4_t a, b, c, d;
};
struct F32x16 {
  float32x4_t a, b, c, d;
};
struct U8x64 {
  uint8x16_t a, b, c, d;
};

// Counted, not measured: of 32 registers a vector takes four, so that 24 can hold sums beside one vector of weights and an input.
inline constexpr int kFloatRows = 6, kFloatVectors = 1;
#if defined(__ARM_FEATURE_DOTPROD)
inline constexpr int kInt8Rows = 6, kInt8Vectors = 1;
inline constexpr int kGroupRows = 3, kGroupVectors = 1, kStreamRows = 3, kUnpackRows = 4;
#else
inline constexpr int kInt8Rows = 4, kInt8Vectors = 1;  // products take registers before they are added
inline constexpr int kGroupRows = 2, kGroupVectors = 1, kStreamRows = 2, kUnpackRows = 3;
#endif
inline constexpr bool kHasFma = true;

inline F32x16 set_f32(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x), vdupq_n_f32(x)}; }
inline F32x16 zero_f32() { return set_f32(0.0f); }
inline F32x16 load_f32(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}; }
inline void store_f32(float* p, F32x16 x) {
  vst1q_f32(p, x.a);
  vst1q_f32(p + 4, x.b);
  vst1q_f32(p + 8, x.c);
  vst1q_f32(p + 12, x.d);
}
inline Mask16 first_lanes(int64_t count) {
  const int32x4_t n = vdupq_n_s32(count > 16 ? 16 : static_cast<int32_t>(count));
  const int32_t numbers[4] = {0, 1, 2, 3};
  const int32x4_t lane = vld1q_s32(numbers);
  return {vcgtq_s32(n, lane), vcgtq_s32(n, vaddq_s32(lane, vdupq_n_s32(4))), vcgtq_s32(n, vaddq_s32(lane, vdupq_n_s32(8))),
          vcgtq_s32(n, vaddq_s32(lane, vdupq_n_s32(12)))};
}
// There are no masked loads and stores: lane by lane in the register that is not whole.
inline float32x4_t load_some(const float* p, int64_t count) {
  if (count >= 4) return vld1q_f32(p);
  float32x4_t x = vdupq_n_f32(0.0f);
  if (count > 0) x = vld1q_lane_f32(p, x, 0);
  if (count > 1) x = vld1q_lane_f32(p + 1, x, 1);
  if (count > 2) x = vld1q_lane_f32(p + 2, x, 2);
  return x;
}
inline void store_some(float* p, float32x4_t x, int64_t count) {
  if (count >= 4) return vst1q_f32(p, x);
  if (count > 0) vst1q_lane_f32(p, x, 0);
  if (count > 1) vst1q_lane_f32(p + 1, x, 1);
  if (count > 2) vst1q_lane_f32(p + 2, x, 2);
}
inline F32x16 load_first(const float* p, int64_t count) {
  if (count >= 16) return load_f32(p);
  return {load_some(p, count), load_some(p + 4, count - 4), load_some(p + 8, count - 8), load_some(p + 12, count - 12)};
}
inline void store_first(float* p, F32x16 x, int64_t count) {
  if (count >= 16) return store_f32(p, x);
  store_some(p, x.a, count);
  store_some(p + 4, x.b, count - 4);
  store_some(p + 8, x.c, count - 8);
  store_some(p + 12, x.d, count - 12);
}

inline F32x16 operator+(F32x16 x, F32x16 y) { return {vaddq_f32(x.a, y.a), vaddq_f32(x.b, y.b), vaddq_f32(x.c, y.c), vaddq_f32(x.d, y.d)}; }
inline F32x16 operator-(F32x16 x, F32x16 y) { return {vsubq_f32(x.a, y.a), vsubq_f32(x.b, y.b), vsubq_f32(x.c, y.c), vsubq_f32(x.d, y.d)}; }
inline F32x16 operator*(F32x16 x, F32x16 y) { return {vmulq_f32(x.a, y.a), vmulq_f32(x.b, y.b), vmulq_f32(x.c, y.c), vmulq_f32(x.d, y.d)}; }
inline F32x16 operator/(F32x16 x, F32x16 y) { return {vdivq_f32(x.a, y.a), vdivq_f32(x.b, y.b), vdivq_f32(x.c, y.c), vdivq_f32(x.d, y.d)}; }
inline F32x16 fma(F32x16 x, F32x16 y, F32x16 z) {
  return {vfmaq_f32(z.a, x.a, y.a), vfmaq_f32(z.b, x.b, y.b), vfmaq_f32(z.c, x.c, y.c), vfmaq_f32(z.d, x.d, y.d)};
}
inline F32x16 fnma(F32x16 x, F32x16 y, F32x16 z) {
  return {vfmsq_f32(z.a, x.a, y.a), vfmsq_f32(z.b, x.b, y.b), vfmsq_f32(z.c, x.c, y.c), vfmsq_f32(z.d, x.d, y.d)};
}
inline F32x16 abs(F32x16 x) { return {vabsq_f32(x.a), vabsq_f32(x.b), vabsq_f32(x.c), vabsq_f32(x.d)}; }
inline F32x16 round_even(F32x16 x) { return {vrndnq_f32(x.a), vrndnq_f32(x.b), vrndnq_f32(x.c), vrndnq_f32(x.d)}; }
inline Mask16 less(F32x16 x, F32x16 y) { return {vcltq_f32(x.a, y.a), vcltq_f32(x.b, y.b), vcltq_f32(x.c, y.c), vcltq_f32(x.d, y.d)}; }
inline uint32x4_t is_nan(float32x4_t x) { return vmvnq_u32(vceqq_f32(x, x)); }
inline Mask16 unordered(F32x16 x) { return {is_nan(x.a), is_nan(x.b), is_nan(x.c), is_nan(x.d)}; }
inline F32x16 select(Mask16 m, F32x16 x, F32x16 y) {
  return {vbslq_f32(m.a, x.a, y.a), vbslq_f32(m.b, x.b, y.b), vbslq_f32(m.c, x.c, y.c), vbslq_f32(m.d, x.d, y.d)};
}
// ARM's own minimum and maximum give NaN where either is.
inline F32x16 min(F32x16 x, F32x16 y) { return select(less(x, y), x, y); }
inline F32x16 max(F32x16 x, F32x16 y) { return select(less(y, x), x, y); }

inline I32x16 set_i32(int32_t x) { return {vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x), vdupq_n_s32(x)}; }
inline I32x16 zero_i32() { return set_i32(0); }
inline I32x16 load_i32(const int32_t* p) { return {vld1q_s32(p), vld1q_s32(p + 4), vld1q_s32(p + 8), vld1q_s32(p + 12)}; }
inline void store_i32(int32_t* p, I32x16 x) {
  vst1q_s32(p, x.a);
  vst1q_s32(p + 4, x.b);
  vst1q_s32(p + 8, x.c);
  vst1q_s32(p + 12, x.d);
}
inline I32x16 operator+(I32x16 x, I32x16 y) { return {vaddq_s32(x.a, y.a), vaddq_s32(x.b, y.b), vaddq_s32(x.c, y.c), vaddq_s32(x.d, y.d)}; }
inline I32x16 operator-(I32x16 x, I32x16 y) { return {vsubq_s32(x.a, y.a), vsubq_s32(x.b, y.b), vsubq_s32(x.c, y.c), vsubq_s32(x.d, y.d)}; }
inline I32x16 operator*(I32x16 x, I32x16 y) { return {vmulq_s32(x.a, y.a), vmulq_s32(x.b, y.b), vmulq_s32(x.c, y.c), vmulq_s32(x.d, y.d)}; }
inline I32x16 operator&(I32x16 x, I32x16 y) { return {vandq_s32(x.a, y.a), vandq_s32(x.b, y.b), vandq_s32(x.c, y.c), vandq_s32(x.d, y.d)}; }
inline I32x16 operator|(I32x16 x, I32x16 y) { return {vorrq_s32(x.a, y.a), vorrq_s32(x.b, y.b), vorrq_s32(x.c, y.c), vorrq_s32(x.d, y.d)}; }
inline I32x16 operator^(I32x16 x, I32x16 y) { return {veorq_s32(x.a, y.a), veorq_s32(x.b, y.b), veorq_s32(x.c, y.c), veorq_s32(x.d, y.d)}; }
template <int kBits>
inline I32x16 shift_left(I32x16 x) {
  return {vshlq_n_s32(x.a, kBits), vshlq_n_s32(x.b, kBits), vshlq_n_s32(x.c, kBits), vshlq_n_s32(x.d, kBits)};
}
template <int kBits>
inline int32x4_t shift_right(int32x4_t x) {
  return vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(x), kBits));
}
template <int kBits>
inline I32x16 shift_right(I32x16 x) {
  return {shift_right<kBits>(x.a), shift_right<kBits>(x.b), shift_right<kBits>(x.c), shift_right<kBits>(x.d)};
}
inline I32x16 min(I32x16 x, I32x16 y) { return {vminq_s32(x.a, y.a), vminq_s32(x.b, y.b), vminq_s32(x.c, y.c), vminq_s32(x.d, y.d)}; }
inline I32x16 max(I32x16 x, I32x16 y) { return {vmaxq_s32(x.a, y.a), vmaxq_s32(x.b, y.b), vmaxq_s32(x.c, y.c), vmaxq_s32(x.d, y.d)}; }
inline Mask16 less(I32x16 x, I32x16 y) { return {vcltq_s32(x.a, y.a), vcltq_s32(x.b, y.b), vcltq_s32(x.c, y.c), vcltq_s32(x.d, y.d)}; }
inline Mask16 equal(I32x16 x, I32x16 y) { return {vceqq_s32(x.a, y.a), vceqq_s32(x.b, y.b), vceqq_s32(x.c, y.c), vceqq_s32(x.d, y.d)}; }
inline I32x16 select(Mask16 m, I32x16 x, I32x16 y) {
  return {vbslq_s32(m.a, x.a, y.a), vbslq_s32(m.b, x.b, y.b), vbslq_s32(m.c, x.c, y.c), vbslq_s32(m.d, x.d, y.d)};
}

inline F32x16 to_f32(I32x16 x) { return {vcvtq_f32_s32(x.a), vcvtq_f32_s32(x.b), vcvtq_f32_s32(x.c), vcvtq_f32_s32(x.d)}; }
inline I32x16 to_i32(F32x16 x) { return {vcvtnq_s32_f32(x.a), vcvtnq_s32_f32(x.b), vcvtnq_s32_f32(x.c), vcvtnq_s32_f32(x.d)}; }
inline F32x16 as_f32(I32x16 x) {
  return {vreinterpretq_f32_s32(x.a), vreinterpretq_f32_s32(x.b), vreinterpretq_f32_s32(x.c), vreinterpretq_f32_s32(x.d)};
}
inline I32x16 as_i32(F32x16 x) {
  return {vreinterpretq_s32_f32(x.a), vreinterpretq_s32_f32(x.b), vreinterpretq_s32_f32(x.c), vreinterpretq_s32_f32(x.d)};
}

inline int32x4_t widen_low(uint16x8_t x) { return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(x))); }
inline int32x4_t widen_high(uint16x8_t x) { return vreinterpretq_s32_u32(vmovl_high_u16(x)); }
inline I32x16 load_u8_to_i32(const uint8_t* p) {
  const uint8x16_t bytes = vld1q_u8(p);
  const uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
  return {widen_low(low), widen_high(low), widen_low(high), widen_high(high)};
}
inline I32x16 load_s8_to_i32(const int8_t* p) {
  const int8x16_t bytes = vld1q_s8(p);
  const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
  return {vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high)};
}
inline F32x16 load_f16(const uint16_t* p) {
  const float16x8_t low = vreinterpretq_f16_u16(vld1q_u16(p)), high = vreinterpretq_f16_u16(vld1q_u16(p + 8));
  return {vcvt_f32_f16(vget_low_f16(low)), vcvt_high_f32_f16(low), vcvt_f32_f16(vget_low_f16(high)), vcvt_high_f32_f16(high)};
}
// The even ones of 16-bit halves, or of bytes: the low parts of all lanes.
inline uint16x8_t low_halves(int32x4_t x, int32x4_t y) { return vuzp1q_u16(vreinterpretq_u16_s32(x), vreinterpretq_u16_s32(y)); }
inline void store_u16(uint16_t* p, I32x16 x) {
  vst1q_u16(p, low_halves(x.a, x.b));
  vst1q_u16(p + 8, low_halves(x.c, x.d));
}
inline void store_u8(uint8_t* p, I32x16 x) {
  vst1q_u8(p, vuzp1q_u8(vreinterpretq_u8_u16(low_halves(x.a, x.b)), vreinterpretq_u8_u16(low_halves(x.c, x.d))));
}

inline float sum_lanes(F32x16 x) {
  const float32x4_t y = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
  const float32x2_t z = vadd_f32(vget_low_f32(y), vget_high_f32(y));
  return vget_lane_f32(z, 0) + vget_lane_f32(z, 1);
}
inline float32x4_t larger(float32x4_t x, float32x4_t y) { return vbslq_f32(vcgtq_f32(x, y), x, y); }
inline float max_lanes(F32x16 x) {
  const float32x4_t y = larger(larger(x.a, x.c), larger(x.b, x.d));
  const float32x4_t z = larger(y, vextq_f32(y, y, 2));
  const float first = vgetq_lane_f32(z, 0), second = vgetq_lane_f32(z, 1);
  return first > second ? first : second;
}
inline int32x4_t sum_parts(I32x16 x) { return vaddq_s32(vaddq_s32(x.a, x.c), vaddq_s32(x.b, x.d)); }
inline int32x4_t max_parts(I32x16 x) { return vmaxq_s32(vmaxq_s32(x.a, x.c), vmaxq_s32(x.b, x.d)); }
inline int32_t sum_lanes(I32x16 x) { return vaddvq_s32(sum_parts(x)); }
inline int32_t max_lanes(I32x16 x) { return vmaxvq_s32(max_parts(x)); }
/// combine(v[4 k], ..., v[4 k + 3]) for the four parts of the result.
template <typename Combine>
inline I32x16 by_fours(const I32x16 (&v)[16], const Combine& combine) {
  return {combine(v[0], v[1], v[2], v[3]), combine(v[4], v[5], v[6], v[7]), combine(v[8], v[9], v[10], v[11]),
          combine(v[12], v[13], v[14], v[15])};
}
inline I32x16 sum_each(const I32x16 (&v)[16]) {
  return by_fours(v, [](I32x16 x, I32x16 y, I32x16 z, I32x16 w) {
    return vpaddq_s32(vpaddq_s32(sum_parts(x), sum_parts(y)), vpaddq_s32(sum_parts(z), sum_parts(w)));
  });
}
inline I32x16 max_each(const I32x16 (&v)[16]) {
  return by_fours(v, [](I32x16 x, I32x16 y, I32x16 z, I32x16 w) {
    return vpmaxq_s32(vpmaxq_s32(max_parts(x), max_parts(y)), vpmaxq_s32(max_parts(z), max_parts(w)));
  });
}
inline void transpose(int32x4_t& x, int32x4_t& y, int32x4_t& z, int32x4_t& w) {
  const int64x2_t a = vreinterpretq_s64_s32(vtrn1q_s32(x, y)), b = vreinterpretq_s64_s32(vtrn2q_s32(x, y));
  const int64x2_t c = vreinterpretq_s64_s32(vtrn1q_s32(z, w)), d = vreinterpretq_s64_s32(vtrn2q_s32(z, w));
  x = vreinterpretq_s32_s64(vtrn1q_s64(a, c));
  y = vreinterpretq_s32_s64(vtrn1q_s64(b, d));
  z = vreinterpretq_s32_s64(vtrn2q_s64(a, c));
  w = vreinterpretq_s32_s64(vtrn2q_s64(b, d));
}
inline void transpose(I32x16 (&v)[16]) {
  constexpr int32x4_t I32x16::* kParts[4] = {&I32x16::a, &I32x16::b, &I32x16::c, &I32x16::d};
  I32x16 out[16];
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {  // rows from 4 i, columns from 4 j on
      const I32x16* from = v + 4 * i;
      int32x4_t x = from[0].*kParts[j], y = from[1].*kParts[j], z = from[2].*kParts[j], w = from[3].*kParts[j];
      transpose(x, y, z, w);
      out[4 * j].*kParts[i] = x;
      out[4 * j + 1].*kParts[i] = y;
      out[4 * j + 2].*kParts[i] = z;
      out[4 * j + 3].*kParts[i] = w;
    }
  }
  for (int i = 0; i < 16; ++i) v[i] = out[i];
}

inline U8x64 load_u8(const void* p) {
  const uint8_t* bytes = static_cast<const uint8_t*>(p);
  return {vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48)};
}
inline void store_u8x64(void* p, U8x64 x) {
  uint8_t* bytes = static_cast<uint8_t*>(p);
  vst1q_u8(bytes, x.a);
  vst1q_u8(bytes + 16, x.b);
  vst1q_u8(bytes + 32, x.c);
  vst1q_u8(bytes + 48, x.d);
}
inline U8x64 set_u8(int x) {
  const uint8x16_t y = vdupq_n_u8(static_cast<uint8_t>(x));
  return {y, y, y, y};
}
inline U8x64 operator&(U8x64 x, U8x64 y) { return {vandq_u8(x.a, y.a), vandq_u8(x.b, y.b), vandq_u8(x.c, y.c), vandq_u8(x.d, y.d)}; }
inline U8x64 operator|(U8x64 x, U8x64 y) { return {vorrq_u8(x.a, y.a), vorrq_u8(x.b, y.b), vorrq_u8(x.c, y.c), vorrq_u8(x.d, y.d)}; }
inline U8x64 operator^(U8x64 x, U8x64 y) { return {veorq_u8(x.a, y.a), veorq_u8(x.b, y.b), veorq_u8(x.c, y.c), veorq_u8(x.d, y.d)}; }
template <int kBits>
inline U8x64 shift_right(U8x64 x) {
  if constexpr (kBits == 0) {
    return x;
  } else {
    return {vshrq_n_u8(x.a, kBits), vshrq_n_u8(x.b, kBits), vshrq_n_u8(x.c, kBits), vshrq_n_u8(x.d, kBits)};
  }
}
template <int kBits>
inline U8x64 shift_left(U8x64 x) {
  return {vshlq_n_u8(x.a, kBits), vshlq_n_u8(x.b, kBits), vshlq_n_u8(x.c, kBits), vshlq_n_u8(x.d, kBits)};
}
inline U8x64 lookup16(const uint8_t* table, U8x64 index) {
  const uint8x16_t t = vld1q_u8(table);
  return {vqtbl1q_u8(t, index.a), vqtbl1q_u8(t, index.b), vqtbl1q_u8(t, index.c), vqtbl1q_u8(t, index.d)};
}

inline I32x16 load_quad(const int8_t* p) {
  int32_t quad;
  __builtin_memcpy(&quad, p, 4);
  return set_i32(quad);
}

#if defined(__ARM_FEATURE_MATMUL_INT8)
inline constexpr bool kSignedDot = false;
inline int32x4_t dot(int32x4_t acc, uint8x16_t w, int32x4_t x) { return vusdotq_s32(acc, w, vreinterpretq_s8_s32(x)); }
#else
/// Instructions multiply signed bytes by signed ones.
inline constexpr bool kSignedDot = true;
inline int32x4_t dot(int32x4_t acc, uint8x16_t w, int32x4_t x) {
  const int8x16_t weights = vreinterpretq_s8_u8(w), inputs = vreinterpretq_s8_s32(x);
#if defined(__ARM_FEATURE_DOTPROD)
  return vdotq_s32(acc, weights, inputs);
#else
  // Two products of -128 and ±127 fit 16 bits.
  const int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(inputs)), high = vmull_high_s8(weights, inputs);
  return vpadalq_s16(acc, vpaddq_s16(low, high));
#endif
}
#endif
inline I32x16 dot(I32x16 acc, U8x64 w, I32x16 x) {
  return {dot(acc.a, w.a, x.a), dot(acc.b, w.b, x.b), dot(acc.c, w.c, x.c), dot(acc.d, w.d, x.d)};
}

// Also with bfmlalt and bfmlalb, fused multiply-adds of the odd and of the even elements: they save unpacking, but no products. bfdot
// rounds in its own way.
inline constexpr bool kHasBf16Dot = false;
I32x16 pair_bf16(F32x16 x, F32x16 y);  // where there is that product
#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
inline void store_bf16(uint16_t* p, F32x16 x) {
  vst1q_u16(p, vreinterpretq_u16_bf16(vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(x.a), x.b)));
  vst1q_u16(p + 8, vreinterpretq_u16_bf16(vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(x.c), x.d)));
}
inline float32x4_t dot_bf16(float32x4_t acc, int32x4_t w, int32x4_t x) {
  const bfloat16x8_t weights = vreinterpretq_bf16_s32(w), inputs = vreinterpretq_bf16_s32(x);
  return vbfmlalbq_f32(vbfmlaltq_f32(acc, weights, inputs), weights, inputs);
}
inline F32x16 dot_bf16(F32x16 acc, I32x16 w, I32x16 x) {
  return {dot_bf16(acc.a, w.a, x.a), dot_bf16(acc.b, w.b, x.b), dot_bf16(acc.c, w.c, x.c), dot_bf16(acc.d, w.d, x.d)};
}
#else
void store_bf16(uint16_t* p, F32x16 x);  // where there is an instruction for it
inline F32x16 dot_bf16(F32x16 acc, I32x16 w, I32x16 x) {
  const I32x16 high = set_i32(static_cast<int32_t>(0xffff0000));
  acc = fma(as_f32(w & high), as_f32(x & high), acc);
  return fma(as_f32(shift_left<16>(w)), as_f32(shift_left<16>(x)), acc);
}
#endif

inline void prefetch(const void* p) { __builtin_prefetch(p); }
inline void prefetch_l2(const void* p) { __builtin_prefetch(p, /*rw=*/0, /*locality=*/2); }

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME

#include "backend/cpu/simd/lanes_one_by_one.h"
#include "backend/cpu/simd/no_narrow_dot.h"
