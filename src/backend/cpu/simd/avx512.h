// Vectors of 16 lanes for AVX-512 (F, BW, DQ, VL), with VNNI where the unit is compiled for it. The names are the same in
// every simd/<isa>.h: a kernel is written once against them. No standard library here: an inline function of it,
// compiled for this machine, could be picked by the linker for another.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

struct Mask16 {
  __mmask16 v;
};
struct I32x16 {
  __m512i v;
};
struct F32x16 {
  __m512 v;
};
/// 64 bytes: for weights, byte 4 n + j is input j of output n.
struct U8x64 {
  __m512i v;
};

// Tiles that keep all accumulators in registers: rows × vectors of 16 outputs.
inline constexpr int kFloatRows = 8, kFloatVectors = 3;  // one fp32 accumulator
#if defined(__AVX512VNNI__)
inline constexpr int kInt8Rows = 8, kInt8Vectors = 3;  // one int32 accumulator
#else
inline constexpr int kInt8Rows = 8, kInt8Vectors = 1;  // inputs of 16 bits: more rows of those leave the first-level cache
#endif
inline constexpr int kGroupRows = 4, kGroupVectors = 2;  // an int32 and an fp32 accumulator
/// The same for one vector of codes unpacked in registers.
inline constexpr int kStreamRows = 8;
/// Rows from which codes are unpacked to memory, once for all.
inline constexpr int kUnpackRows = 32;
inline constexpr bool kHasFma = true;

inline F32x16 zero_f32() { return {_mm512_setzero_ps()}; }
inline F32x16 set_f32(float x) { return {_mm512_set1_ps(x)}; }
inline F32x16 load_f32(const float* p) { return {_mm512_loadu_ps(p)}; }
inline void store_f32(float* p, F32x16 a) { _mm512_storeu_ps(p, a.v); }
inline Mask16 first_lanes(int64_t count) { return {static_cast<__mmask16>(count >= 16 ? 0xffff : (1u << count) - 1)}; }
/// The first `count` lanes; the others are zero and not touched in memory.
inline F32x16 load_first(const float* p, int64_t count) { return {_mm512_maskz_loadu_ps(first_lanes(count).v, p)}; }
inline void store_first(float* p, F32x16 a, int64_t count) { _mm512_mask_storeu_ps(p, first_lanes(count).v, a.v); }

inline F32x16 operator+(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
inline F32x16 operator-(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
inline F32x16 operator*(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
inline F32x16 operator/(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
/// a · b + c, rounded once.
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
/// c - a · b, rounded once.
inline F32x16 fnma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fnmadd_ps(a.v, b.v, c.v)}; }
/// b where either is NaN, as the x86 instruction does.
inline F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
inline F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
inline F32x16 abs(F32x16 a) { return {_mm512_abs_ps(a.v)}; }
inline F32x16 round_even(F32x16 a) { return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
inline Mask16 less(F32x16 a, F32x16 b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
inline Mask16 unordered(F32x16 a) { return {_mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q)}; }
/// a where the mask is set, else b.
inline F32x16 select(Mask16 m, F32x16 a, F32x16 b) { return {_mm512_mask_blend_ps(m.v, b.v, a.v)}; }
inline I32x16 select(Mask16 m, I32x16 a, I32x16 b) { return {_mm512_mask_blend_epi32(m.v, b.v, a.v)}; }

inline I32x16 zero_i32() { return {_mm512_setzero_si512()}; }
inline I32x16 set_i32(int32_t x) { return {_mm512_set1_epi32(x)}; }
inline I32x16 load_i32(const int32_t* p) { return {_mm512_loadu_si512(p)}; }
inline void store_i32(int32_t* p, I32x16 a) { _mm512_storeu_si512(p, a.v); }
inline I32x16 operator+(I32x16 a, I32x16 b) { return {_mm512_add_epi32(a.v, b.v)}; }
inline I32x16 operator-(I32x16 a, I32x16 b) { return {_mm512_sub_epi32(a.v, b.v)}; }
inline I32x16 operator*(I32x16 a, I32x16 b) { return {_mm512_mullo_epi32(a.v, b.v)}; }
inline I32x16 operator&(I32x16 a, I32x16 b) { return {_mm512_and_si512(a.v, b.v)}; }
inline I32x16 operator|(I32x16 a, I32x16 b) { return {_mm512_or_si512(a.v, b.v)}; }
inline I32x16 operator^(I32x16 a, I32x16 b) { return {_mm512_xor_si512(a.v, b.v)}; }
template <int kBits>
inline I32x16 shift_left(I32x16 a) {
  return {_mm512_slli_epi32(a.v, kBits)};
}
/// Logical: zeros come in from above.
template <int kBits>
inline I32x16 shift_right(I32x16 a) {
  return {_mm512_srli_epi32(a.v, kBits)};
}
inline I32x16 min(I32x16 a, I32x16 b) { return {_mm512_min_epi32(a.v, b.v)}; }
inline I32x16 max(I32x16 a, I32x16 b) { return {_mm512_max_epi32(a.v, b.v)}; }
inline Mask16 less(I32x16 a, I32x16 b) { return {_mm512_cmplt_epi32_mask(a.v, b.v)}; }
inline Mask16 equal(I32x16 a, I32x16 b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }

inline F32x16 to_f32(I32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }
/// Nearest, ties to even; the value must fit.
inline I32x16 to_i32(F32x16 a) { return {_mm512_cvtps_epi32(a.v)}; }
inline F32x16 as_f32(I32x16 a) { return {_mm512_castsi512_ps(a.v)}; }
inline I32x16 as_i32(F32x16 a) { return {_mm512_castps_si512(a.v)}; }

inline I32x16 load_u8_to_i32(const uint8_t* p) { return {_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))}; }
inline I32x16 load_s8_to_i32(const int8_t* p) { return {_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))}; }
inline F32x16 load_f16(const uint16_t* p) { return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))}; }
/// The low 16 bits of every lane.
inline void store_u16(uint16_t* p, I32x16 a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(a.v)); }
/// The low 8 bits of every lane.
inline void store_u8(uint8_t* p, I32x16 a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a.v)); }

/// Sum and maximum over the lanes, by one fixed tree: lane i with i + 8, then i + 4, i + 2, i + 1.
inline float sum_lanes(F32x16 a) {
  const __m256 b = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
inline float max_lanes(F32x16 a) {
  const __m256 b = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  const __m128 d = _mm_max_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}
/// Lane n is the combination of all lanes of v[n], by the tree of sum_lanes(): eight take a third of the instructions that they take
/// one by one. Of eight, lane n + 8 is the same as lane n.
template <int kVectors, typename Combine>
inline F32x16 combine_lanes(const F32x16 (&v)[kVectors], const Combine& combine) {
  const auto join = [&](__m512 low, __m512 high) { return combine(F32x16{low}, F32x16{high}).v; };
  __m512 half[kVectors / 2], quarter[kVectors / 4], pairs[kVectors / 8];
  for (int i = 0; i < kVectors / 2; ++i) {
    const __m512 a = v[2 * i].v, b = v[2 * i + 1].v;
    half[i] = join(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
  }
  for (int i = 0; i < kVectors / 4; ++i) {
    const __m512 a = half[2 * i], b = half[2 * i + 1];
    quarter[i] = join(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
  }
  // In 128 bits n of these are the lanes of rows n and n + 4, then of rows n + 8 and n + 12.
  for (int i = 0; i < kVectors / 8; ++i) {
    const __m512 a = quarter[2 * i], b = quarter[2 * i + 1];
    pairs[i] = join(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
  }
  const __m512 a = pairs[0], b = pairs[kVectors / 8 - 1];
  const __m512 all = join(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
  return {_mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), all)};
}
/// Lane n is the sum, or the largest, of the lanes of v[n], for n below kCount.
template <int kCount>
inline F32x16 sum_each(const F32x16 (&v)[8]) {
  if constexpr (kCount == 1) return set_f32(sum_lanes(v[0]));
  return combine_lanes(v, [](F32x16 a, F32x16 b) { return a + b; });
}
template <int kCount>
inline F32x16 max_each(const F32x16 (&v)[8]) {
  if constexpr (kCount == 1) return set_f32(max_lanes(v[0]));
  return combine_lanes(v, [](F32x16 a, F32x16 b) { return max(a, b); });
}
inline int32_t sum_lanes(I32x16 a) { return _mm512_reduce_add_epi32(a.v); }
inline int32_t max_lanes(I32x16 a) { return _mm512_reduce_max_epi32(a.v); }
/// Lane n is the sum, or the largest, of the lanes of v[n].
inline I32x16 sum_each(const I32x16 (&v)[16]) {
  F32x16 bits[16];
  for (int n = 0; n < 16; ++n) bits[n] = as_f32(v[n]);
  return as_i32(combine_lanes(bits, [](F32x16 a, F32x16 b) { return as_f32(as_i32(a) + as_i32(b)); }));
}
inline I32x16 max_each(const I32x16 (&v)[16]) {
  F32x16 bits[16];
  for (int n = 0; n < 16; ++n) bits[n] = as_f32(v[n]);
  return as_i32(combine_lanes(bits, [](F32x16 a, F32x16 b) { return as_f32(max(as_i32(a), as_i32(b))); }));
}
/// Lane j of v[i] becomes lane i of v[j].
inline void transpose(I32x16 (&v)[16]) {
  __m512i a[16], b[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(v[i].v, v[i + 1].v);
    a[i + 1] = _mm512_unpackhi_epi32(v[i].v, v[i + 1].v);
  }
  // 128 bits n of b[4 k + j] are column 4 n + j of rows 4 k to 4 k + 3.
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  for (int j = 0; j < 4; ++j) {
    const __m512i even[2] = {_mm512_shuffle_i32x4(b[j], b[j + 4], 0x88), _mm512_shuffle_i32x4(b[j + 8], b[j + 12], 0x88)};
    const __m512i odd[2] = {_mm512_shuffle_i32x4(b[j], b[j + 4], 0xdd), _mm512_shuffle_i32x4(b[j + 8], b[j + 12], 0xdd)};
    v[j].v = _mm512_shuffle_i32x4(even[0], even[1], 0x88);
    v[j + 4].v = _mm512_shuffle_i32x4(odd[0], odd[1], 0x88);
    v[j + 8].v = _mm512_shuffle_i32x4(even[0], even[1], 0xdd);
    v[j + 12].v = _mm512_shuffle_i32x4(odd[0], odd[1], 0xdd);
  }
}

inline U8x64 load_u8(const void* p) { return {_mm512_loadu_si512(p)}; }
inline void store_u8x64(void* p, U8x64 a) { _mm512_storeu_si512(p, a.v); }
inline U8x64 set_u8(int x) { return {_mm512_set1_epi8(static_cast<char>(x))}; }
inline U8x64 operator-(U8x64 a, U8x64 b) { return {_mm512_sub_epi8(a.v, b.v)}; }
inline U8x64 operator&(U8x64 a, U8x64 b) { return {_mm512_and_si512(a.v, b.v)}; }
inline U8x64 operator|(U8x64 a, U8x64 b) { return {_mm512_or_si512(a.v, b.v)}; }
inline U8x64 operator^(U8x64 a, U8x64 b) { return {_mm512_xor_si512(a.v, b.v)}; }
/// Bits move within 16-bit pairs: mask afterwards.
template <int kBits>
inline U8x64 shift_right(U8x64 a) {
  if constexpr (kBits == 0) return a;
  return {_mm512_srli_epi16(a.v, kBits)};
}
template <int kBits>
inline U8x64 shift_left(U8x64 a) {
  if constexpr (kBits == 0) return a;
  return {_mm512_slli_epi16(a.v, kBits)};
}
/// table[i & 15] for every byte i below 16.
inline U8x64 lookup16(const uint8_t* table, U8x64 index) {
  const __m512i t = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
  return {_mm512_shuffle_epi8(t, index.v)};
}

/// Four signed bytes, in every lane.
inline I32x16 load_quad(const int8_t* p) {
  int32_t quad;
  __builtin_memcpy(&quad, p, 4);
  return {_mm512_set1_epi32(quad)};
}

/// Whether dot() takes weights as signed bytes: the same for codes below 128.
inline constexpr bool kSignedDot = false;
#if defined(__AVX512VNNI__)
/// acc[n] + Σ_j w[4n + j] · x[j], w unsigned.
inline I32x16 dot(I32x16 acc, U8x64 w, I32x16 x) { return {_mm512_dpbusd_epi32(acc.v, w.v, x.v)}; }
#else
/// Four inputs in 16 bits, each pair in every lane: (x[0], x[2]) and (x[1], x[3]).
struct WideQuad {
  __m512i even, odd;
};
/// Bytes of a WideQuad in memory: 16-bit x[0], x[2], x[1], x[3].
inline constexpr int kWideQuadBytes = 8;
inline WideQuad load_wide_quad(const int8_t* p) { return {load_quad(p).v, load_quad(p + 4).v}; }
/// q[16] to four of them.
inline void store_wide_quads(int8_t* p, I32x16 q) {
  const __m256i quads = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(_mm512_cvtepi32_epi16(q.v), 0xd8), 0xd8);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), quads);
}
/// acc[n] + Σ_j w[4n + j] · x[j], w unsigned (see simd/avx2.h).
inline I32x16 dot(I32x16 acc, U8x64 w, WideQuad x) {
  const __m512i even = _mm512_madd_epi16(_mm512_and_si512(w.v, _mm512_set1_epi16(0xff)), x.even);
  const __m512i odd = _mm512_madd_epi16(_mm512_srli_epi16(w.v, 8), x.odd);
  return {_mm512_add_epi32(_mm512_add_epi32(acc.v, even), odd)};
}

/// Sums in 16 bits: half the instructions of dot() where codes are so small that several steps fit.
inline constexpr bool kHasNarrowDot = true;
struct I16x32 {
  __m512i v;
};
/// Fixes a sum at this point of the program (see simd/avx2.h).
inline void pin(I16x32& a) { asm("" : "+v"(a.v)); }
inline void pin(I32x16& a) { asm("" : "+v"(a.v)); }
inline I16x32 zero_i16() { return {_mm512_setzero_si512()}; }
/// acc[2n + i] + w[4n + 2i] · x[2i] + w[4n + 2i + 1] · x[2i + 1].
inline I16x32 dot_narrow(I16x32 acc, U8x64 w, I32x16 x) { return {_mm512_add_epi16(acc.v, _mm512_maddubs_epi16(w.v, x.v))}; }
/// acc[n] + sum[2n] + sum[2n + 1].
inline I32x16 widen_add(I32x16 acc, I16x32 sum) { return {_mm512_add_epi32(acc.v, _mm512_madd_epi16(sum.v, _mm512_set1_epi16(1)))}; }

#endif

#if defined(__AVX512BF16__)
inline constexpr bool kHasBf16Dot = true;
/// To bf16, nearest even, denormals to zero.
inline void store_bf16(uint16_t* p, F32x16 a) {
  __m256i rounded;
#if defined(__clang__) && __clang_major__ < 17
  asm("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(a.v));
#else
  rounded = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a.v));
#endif
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), rounded);
}
/// The same of two vectors: lane n is the pair of a[n] and b[n].
inline I32x16 pair_bf16(F32x16 a, F32x16 b) {
  __m512i rounded;  // those of a, then those of b
#if defined(__clang__) && __clang_major__ < 17
  asm("vcvtne2ps2bf16 %1, %2, %0" : "=v"(rounded) : "v"(a.v), "v"(b.v));
#else
  rounded = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b.v, a.v));
#endif
  const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  return {_mm512_permutexvar_epi16(_mm512_or_si512(lane, _mm512_slli_epi32(_mm512_add_epi32(lane, _mm512_set1_epi32(16)), 16)), rounded)};
}
/// Pairs of bf16: fma(w[2n+1], x[1], acc), then fma(w[2n], x[0], .).
inline F32x16 dot_bf16(F32x16 acc, I32x16 w, I32x16 x) {
#if defined(__clang__) && __clang_major__ < 17
  asm("vdpbf16ps %2, %1, %0" : "+v"(acc.v) : "v"(w.v), "v"(x.v));  // Clang 16 crashes on vectors of bfloat
  return acc;
#else
  return {_mm512_dpbf16_ps(acc.v, reinterpret_cast<__m512bh>(w.v), reinterpret_cast<__m512bh>(x.v))};
#endif
}
#else
inline constexpr bool kHasBf16Dot = false;
void store_bf16(uint16_t* p, F32x16 a);  // where there is that product
I32x16 pair_bf16(F32x16 a, F32x16 b);
inline F32x16 dot_bf16(F32x16 acc, I32x16 w, I32x16 x) {
  const I32x16 high = set_i32(static_cast<int32_t>(0xffff0000));
  acc = fma(as_f32(w & high), as_f32(x & high), acc);
  return fma(as_f32(shift_left<16>(w)), as_f32(shift_left<16>(x)), acc);
}
#endif

inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
/// To the second-level cache, which has more requests under way at once than the first.
inline void prefetch_l2(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME

#if defined(__AVX512VNNI__)
#include "backend/cpu/simd/no_narrow_dot.h"
#endif
#if defined(__AMX_INT8__)
#include "backend/cpu/simd/amx.h"
#endif
