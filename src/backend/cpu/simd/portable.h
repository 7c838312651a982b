// Vectors of 16 lanes through the compilers' vector extensions: any machine. See simd/avx512.h for what
// the functions mean. Where the machine has no fused multiply-add, fma() rounds twice.
#pragma once

#include <stdint.h>

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

typedef float FloatVector __attribute__((vector_size(64)));
typedef int32_t IntVector __attribute__((vector_size(64)));
typedef uint32_t UintVector __attribute__((vector_size(64)));
typedef uint16_t ShortVector __attribute__((vector_size(64)));

struct Mask16 {
  IntVector v;  // all ones or zero in every lane
};
struct I32x16 {
  IntVector v;
};
struct F32x16 {
  FloatVector v;
};
struct U8x64 {
  IntVector v;
};

inline constexpr int kFloatRows = 4, kFloatVectors = 1;
inline constexpr int kInt8Rows = 2, kInt8Vectors = 1;
inline constexpr int kGroupRows = 2, kGroupVectors = 1, kStreamRows = 2, kUnpackRows = 3;
#if defined(__FP_FAST_FMAF)
inline constexpr bool kHasFma = true;
#else
inline constexpr bool kHasFma = false;
#endif

inline F32x16 zero_f32() { return {FloatVector{}}; }
inline F32x16 set_f32(float x) { return {FloatVector{} + x}; }
inline F32x16 load_f32(const float* p) {
  F32x16 a;
  __builtin_memcpy(&a.v, p, 64);
  return a;
}
inline void store_f32(float* p, F32x16 a) { __builtin_memcpy(p, &a.v, 64); }
inline Mask16 first_lanes(int64_t count) {
  const IntVector lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return {lane < static_cast<int32_t>(count > 16 ? 16 : count)};
}
inline F32x16 load_first(const float* p, int64_t count) {
  if (count >= 16) return load_f32(p);
  float lanes[16] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = p[i];
  return load_f32(lanes);
}
inline void store_first(float* p, F32x16 a, int64_t count) {
  if (count >= 16) return store_f32(p, a);
  float lanes[16];
  store_f32(lanes, a);
  for (int64_t i = 0; i < count; ++i) p[i] = lanes[i];
}

inline F32x16 operator+(F32x16 a, F32x16 b) { return {a.v + b.v}; }
inline F32x16 operator-(F32x16 a, F32x16 b) { return {a.v - b.v}; }
inline F32x16 operator*(F32x16 a, F32x16 b) { return {a.v * b.v}; }
inline F32x16 operator/(F32x16 a, F32x16 b) { return {a.v / b.v}; }
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
#if defined(__FP_FAST_FMAF)
#if __has_builtin(__builtin_elementwise_fma)
  return {__builtin_elementwise_fma(a.v, b.v, c.v)};
#else
  for (int i = 0; i < 16; ++i) c.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return c;
#endif
#else
  return {a.v * b.v + c.v};
#endif
}
inline F32x16 fnma(F32x16 a, F32x16 b, F32x16 c) { return fma({-a.v}, b, c); }

inline I32x16 zero_i32() { return {IntVector{}}; }
inline I32x16 set_i32(int32_t x) { return {IntVector{} + x}; }
inline I32x16 load_i32(const int32_t* p) {
  I32x16 a;
  __builtin_memcpy(&a.v, p, 64);
  return a;
}
inline void store_i32(int32_t* p, I32x16 a) { __builtin_memcpy(p, &a.v, 64); }
inline I32x16 as_i32(F32x16 a) { return {(IntVector)a.v}; }
inline F32x16 as_f32(I32x16 a) { return {(FloatVector)a.v}; }
inline I32x16 operator+(I32x16 a, I32x16 b) { return {a.v + b.v}; }
inline I32x16 operator-(I32x16 a, I32x16 b) { return {a.v - b.v}; }
inline I32x16 operator*(I32x16 a, I32x16 b) { return {a.v * b.v}; }
inline I32x16 operator&(I32x16 a, I32x16 b) { return {a.v & b.v}; }
inline I32x16 operator|(I32x16 a, I32x16 b) { return {a.v | b.v}; }
inline I32x16 operator^(I32x16 a, I32x16 b) { return {a.v ^ b.v}; }
template <int kBits>
inline I32x16 shift_left(I32x16 a) {
  return {(IntVector)((UintVector)a.v << kBits)};
}
template <int kBits>
inline I32x16 shift_right(I32x16 a) {
  return {(IntVector)((UintVector)a.v >> kBits)};
}
inline I32x16 select(Mask16 m, I32x16 a, I32x16 b) { return {(a.v & m.v) | (b.v & ~m.v)}; }
inline F32x16 select(Mask16 m, F32x16 a, F32x16 b) { return as_f32(select(m, as_i32(a), as_i32(b))); }
inline Mask16 less(F32x16 a, F32x16 b) { return {a.v < b.v}; }
inline Mask16 unordered(F32x16 a) { return {a.v != a.v}; }
inline Mask16 less(I32x16 a, I32x16 b) { return {a.v < b.v}; }
inline Mask16 equal(I32x16 a, I32x16 b) { return {a.v == b.v}; }
inline F32x16 min(F32x16 a, F32x16 b) { return select(less(a, b), a, b); }
inline F32x16 max(F32x16 a, F32x16 b) { return select(less(b, a), a, b); }
inline I32x16 min(I32x16 a, I32x16 b) { return select(less(a, b), a, b); }
inline I32x16 max(I32x16 a, I32x16 b) { return select(less(b, a), a, b); }
inline F32x16 abs(F32x16 a) { return as_f32(as_i32(a) & set_i32(0x7fffffff)); }

inline F32x16 to_f32(I32x16 a) { return {__builtin_convertvector(a.v, FloatVector)}; }
// Adding and taking away 1.5 · 2^23 with the sign kept rounds to nearest even wherever the value has a fraction.
inline F32x16 round_even(F32x16 a) {
  const F32x16 sign = as_f32(as_i32(a) & set_i32(static_cast<int32_t>(0x80000000)));
  const F32x16 big = as_f32(as_i32(set_f32(8388608.0f)) | as_i32(sign));
  const F32x16 rounded = as_f32(as_i32((a + big) - big) | as_i32(sign));
  return select(less(abs(a), set_f32(8388608.0f)), rounded, a);
}
inline I32x16 to_i32(F32x16 a) { return {__builtin_convertvector(round_even(a).v, IntVector)}; }

inline I32x16 load_u16(const uint16_t* p) {
  I32x16 a;
  for (int i = 0; i < 16; ++i) a.v[i] = p[i];
  return a;
}
inline I32x16 load_u8_to_i32(const uint8_t* p) {
  I32x16 a;
  for (int i = 0; i < 16; ++i) a.v[i] = p[i];
  return a;
}
inline I32x16 load_s8_to_i32(const int8_t* p) {
  I32x16 a;
  for (int i = 0; i < 16; ++i) a.v[i] = p[i];
  return a;
}
// Without a conversion instruction: the bits move to their fp32 places and a multiplication by 2^112 corrects the exponent
// (subnormal halves become normal floats); infinities and NaN get the highest exponent.
inline F32x16 load_f16(const uint16_t* p) {
  const I32x16 h = load_u16(p);
  const I32x16 magnitude = shift_left<13>(h & set_i32(0x7fff));
  const I32x16 sign = shift_left<16>(h & set_i32(0x8000));
  const I32x16 tiny = as_i32(to_f32(h & set_i32(0x3ff)) * set_f32(1.0f / 16777216));
  const I32x16 normal = magnitude + set_i32(112 << 23);
  const I32x16 special = magnitude | set_i32(0x7f800000);
  const I32x16 finite = select(less(magnitude, set_i32(1 << 23)), tiny, normal);
  return as_f32(select(less(magnitude, set_i32(0x1f << 23)), finite, special) | sign);
}
inline void store_u16(uint16_t* p, I32x16 a) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<uint16_t>(a.v[i]);
}
inline void store_u8(uint8_t* p, I32x16 a) {
  for (int i = 0; i < 16; ++i) p[i] = static_cast<uint8_t>(a.v[i]);
}

inline float sum_lanes(F32x16 a) {
  float s[16];
  store_f32(s, a);
  for (int step = 8; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) s[i] = s[i] + s[i + step];
  }
  return s[0];
}
inline float max_lanes(F32x16 a) {
  float s[16];
  store_f32(s, a);
  for (int step = 8; step > 0; step /= 2) {
    for (int i = 0; i < step; ++i) s[i] = s[i] > s[i + step] ? s[i] : s[i + step];
  }
  return s[0];
}
inline int32_t sum_lanes(I32x16 a) {
  int32_t sum = 0;
  for (int i = 0; i < 16; ++i) sum += a.v[i];
  return sum;
}
inline int32_t max_lanes(I32x16 a) {
  int32_t most = a.v[0];
  for (int i = 1; i < 16; ++i) most = a.v[i] > most ? a.v[i] : most;
  return most;
}
inline I32x16 sum_each(const I32x16 (&v)[16]) {
  I32x16 sums;
  for (int n = 0; n < 16; ++n) sums.v[n] = sum_lanes(v[n]);
  return sums;
}
inline I32x16 max_each(const I32x16 (&v)[16]) {
  I32x16 most;
  for (int n = 0; n < 16; ++n) most.v[n] = max_lanes(v[n]);
  return most;
}
inline void transpose(I32x16 (&v)[16]) {
  int32_t from[16][16], to[16][16];
  for (int i = 0; i < 16; ++i) store_i32(from[i], v[i]);
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) to[i][j] = from[j][i];
  }
  for (int i = 0; i < 16; ++i) v[i] = load_i32(to[i]);
}

inline U8x64 load_u8(const void* p) {
  U8x64 a;
  __builtin_memcpy(&a.v, p, 64);
  return a;
}
inline void store_u8x64(void* p, U8x64 a) { __builtin_memcpy(p, &a.v, 64); }
inline U8x64 set_u8(int x) { return {IntVector{} + static_cast<int32_t>(static_cast<uint32_t>(x & 0xff) * 0x01010101u)}; }
inline U8x64 operator&(U8x64 a, U8x64 b) { return {a.v & b.v}; }
inline U8x64 operator|(U8x64 a, U8x64 b) { return {a.v | b.v}; }
inline U8x64 operator^(U8x64 a, U8x64 b) { return {a.v ^ b.v}; }
template <int kBits>
inline U8x64 shift_right(U8x64 a) {
  return {(IntVector)((ShortVector)a.v >> kBits)};
}
template <int kBits>
inline U8x64 shift_left(U8x64 a) {
  return {(IntVector)((ShortVector)a.v << kBits)};
}
inline U8x64 lookup16(const uint8_t* table, U8x64 index) {
  uint8_t bytes[64];
  store_u8x64(bytes, index);
  for (int i = 0; i < 64; ++i) bytes[i] = table[bytes[i] & 15];
  return load_u8(bytes);
}

inline I32x16 load_quad(const int8_t* p) {
  int32_t quad;
  __builtin_memcpy(&quad, p, 4);
  return set_i32(quad);
}
inline constexpr bool kSignedDot = false;
inline I32x16 dot(I32x16 acc, U8x64 w, I32x16 x) {
  const IntVector low = IntVector{} + 0xff;
  acc.v += (w.v & low) * ((IntVector)((UintVector)x.v << 24) >> 24);
  acc.v += ((w.v >> 8) & low) * ((IntVector)((UintVector)x.v << 16) >> 24);
  acc.v += ((w.v >> 16) & low) * ((IntVector)((UintVector)x.v << 8) >> 24);
  acc.v += ((w.v >> 24) & low) * (x.v >> 24);
  return acc;
}

inline constexpr bool kHasBf16Dot = false;
void store_bf16(uint16_t* p, F32x16 a);  // where there is that product
I32x16 pair_bf16(F32x16 a, F32x16 b);
inline F32x16 dot_bf16(F32x16 acc, I32x16 w, I32x16 x) {
  const I32x16 high = set_i32(static_cast<int32_t>(0xffff0000));
  acc = fma(as_f32(w & high), as_f32(x & high), acc);
  return fma(as_f32(shift_left<16>(w)), as_f32(shift_left<16>(x)), acc);
}

inline void prefetch(const void* p) { __builtin_prefetch(p); }
inline void prefetch_l2(const void* p) { __builtin_prefetch(p, /*rw=*/0, /*locality=*/2); }

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME

#include "backend/cpu/simd/lanes_one_by_one.h"
#include "backend/cpu/simd/no_narrow_dot.h"
