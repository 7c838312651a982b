// Vectors of 16 lanes for AVX2 with FMA and F16C, and with AVX-VNNI where the unit is compiled for it: two registers each. See
// simd/avx512.h for what the functions mean.
#pragma once

#include <immintrin.h>
#include <stdint.h>

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

struct Mask16 {
  __m256i lo, hi;  // all ones or zero in every lane
};
struct I32x16 {
  __m256i lo, hi;
};
struct F32x16 {
  __m256 lo, hi;
};
struct U8x64 {
  __m256i lo, hi;
};

inline constexpr int kFloatRows = 6, kFloatVectors = 1;
#if defined(__AVXVNNI__)
inline constexpr int kInt8Rows = 6, kInt8Vectors = 1;
#else
inline constexpr int kInt8Rows = 4, kInt8Vectors = 1;
#endif
// A group's sums fill all registers at four rows: those in fp32 wait in memory, which costs less than reading weights more often.
inline constexpr int kGroupRows = 4, kGroupVectors = 1, kStreamRows = 4, kUnpackRows = 5;
inline constexpr bool kHasFma = true;

inline F32x16 zero_f32() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
inline F32x16 set_f32(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
inline F32x16 load_f32(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
inline void store_f32(float* p, F32x16 a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
inline Mask16 first_lanes(int64_t count) {
  const __m256i n = _mm256_set1_epi32(count > 16 ? 16 : static_cast<int32_t>(count));
  return {_mm256_cmpgt_epi32(n, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)),
          _mm256_cmpgt_epi32(n, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15))};
}
// Masked stores are microcode on AMD's cores, some 20 cycles each: whole vectors go without.
inline F32x16 load_first(const float* p, int64_t count) {
  if (count >= 16) return load_f32(p);
  const Mask16 m = first_lanes(count);
  return {_mm256_maskload_ps(p, m.lo), _mm256_maskload_ps(p + 8, m.hi)};
}
inline void store_first(float* p, F32x16 a, int64_t count) {
  if (count >= 16) return store_f32(p, a);
  const Mask16 m = first_lanes(count);
  _mm256_maskstore_ps(p, m.lo, a.lo);
  _mm256_maskstore_ps(p + 8, m.hi, a.hi);
}

inline F32x16 operator+(F32x16 a, F32x16 b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
inline F32x16 operator-(F32x16 a, F32x16 b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
inline F32x16 operator*(F32x16 a, F32x16 b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
inline F32x16 operator/(F32x16 a, F32x16 b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)}; }
inline F32x16 fnma(F32x16 a, F32x16 b, F32x16 c) { return {_mm256_fnmadd_ps(a.lo, b.lo, c.lo), _mm256_fnmadd_ps(a.hi, b.hi, c.hi)}; }
inline F32x16 min(F32x16 a, F32x16 b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
inline F32x16 max(F32x16 a, F32x16 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
inline F32x16 abs(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
inline F32x16 round_even(F32x16 a) {
  return {_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
          _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
template <int kPredicate>
inline Mask16 compare(F32x16 a, F32x16 b) {
  return {_mm256_castps_si256(_mm256_cmp_ps(a.lo, b.lo, kPredicate)), _mm256_castps_si256(_mm256_cmp_ps(a.hi, b.hi, kPredicate))};
}
inline Mask16 less(F32x16 a, F32x16 b) { return compare<_CMP_LT_OQ>(a, b); }
inline Mask16 unordered(F32x16 a) { return compare<_CMP_UNORD_Q>(a, a); }
inline F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
  return {_mm256_blendv_ps(b.lo, a.lo, _mm256_castsi256_ps(m.lo)), _mm256_blendv_ps(b.hi, a.hi, _mm256_castsi256_ps(m.hi))};
}
inline I32x16 select(Mask16 m, I32x16 a, I32x16 b) { return {_mm256_blendv_epi8(b.lo, a.lo, m.lo), _mm256_blendv_epi8(b.hi, a.hi, m.hi)}; }

inline __m256i load_256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline __m128i load_128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
inline I32x16 zero_i32() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
inline I32x16 set_i32(int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
inline I32x16 load_i32(const int32_t* p) { return {load_256(p), load_256(p + 8)}; }
inline void store_i32(int32_t* p, I32x16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), a.hi);
}
inline I32x16 operator+(I32x16 a, I32x16 b) { return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)}; }
inline I32x16 operator-(I32x16 a, I32x16 b) { return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)}; }
inline I32x16 operator*(I32x16 a, I32x16 b) { return {_mm256_mullo_epi32(a.lo, b.lo), _mm256_mullo_epi32(a.hi, b.hi)}; }
inline I32x16 operator&(I32x16 a, I32x16 b) { return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)}; }
inline I32x16 operator|(I32x16 a, I32x16 b) { return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)}; }
inline I32x16 operator^(I32x16 a, I32x16 b) { return {_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)}; }
template <int kBits>
inline I32x16 shift_left(I32x16 a) {
  return {_mm256_slli_epi32(a.lo, kBits), _mm256_slli_epi32(a.hi, kBits)};
}
template <int kBits>
inline I32x16 shift_right(I32x16 a) {
  return {_mm256_srli_epi32(a.lo, kBits), _mm256_srli_epi32(a.hi, kBits)};
}
inline I32x16 min(I32x16 a, I32x16 b) { return {_mm256_min_epi32(a.lo, b.lo), _mm256_min_epi32(a.hi, b.hi)}; }
inline I32x16 max(I32x16 a, I32x16 b) { return {_mm256_max_epi32(a.lo, b.lo), _mm256_max_epi32(a.hi, b.hi)}; }
inline Mask16 less(I32x16 a, I32x16 b) { return {_mm256_cmpgt_epi32(b.lo, a.lo), _mm256_cmpgt_epi32(b.hi, a.hi)}; }
inline Mask16 equal(I32x16 a, I32x16 b) { return {_mm256_cmpeq_epi32(a.lo, b.lo), _mm256_cmpeq_epi32(a.hi, b.hi)}; }

inline F32x16 to_f32(I32x16 a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
inline I32x16 to_i32(F32x16 a) { return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)}; }
inline F32x16 as_f32(I32x16 a) { return {_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)}; }
inline I32x16 as_i32(F32x16 a) { return {_mm256_castps_si256(a.lo), _mm256_castps_si256(a.hi)}; }

inline I32x16 load_u8_to_i32(const uint8_t* p) {
  const __m128i bytes = load_128(p);
  return {_mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8))};
}
inline I32x16 load_s8_to_i32(const int8_t* p) {
  const __m128i bytes = load_128(p);
  return {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8))};
}
inline F32x16 load_f16(const uint16_t* p) { return {_mm256_cvtph_ps(load_128(p)), _mm256_cvtph_ps(load_128(p + 8))}; }
inline void store_u16(uint16_t* p, I32x16 a) {
  const __m256i low = _mm256_set1_epi32(0xffff);
  const __m256i packed = _mm256_packus_epi32(_mm256_and_si256(a.lo, low), _mm256_and_si256(a.hi, low));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0xd8));
}
inline void store_u8(uint8_t* p, I32x16 a) {
  const __m256i low = _mm256_set1_epi32(0xff);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(_mm256_and_si256(a.lo, low), _mm256_and_si256(a.hi, low)), 0xd8);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1)));
}

inline float sum_lanes(F32x16 a) {
  const __m256 b = _mm256_add_ps(a.lo, a.hi);
  const __m128 c = _mm_add_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  const __m128 d = _mm_add_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_add_ss(d, _mm_movehdup_ps(d)));
}
inline float max_lanes(F32x16 a) {
  const __m256 b = _mm256_max_ps(a.lo, a.hi);
  const __m128 c = _mm_max_ps(_mm256_castps256_ps128(b), _mm256_extractf128_ps(b, 1));
  const __m128 d = _mm_max_ps(c, _mm_movehl_ps(c, c));
  return _mm_cvtss_f32(_mm_max_ss(d, _mm_movehdup_ps(d)));
}
inline int32_t sum_lanes(I32x16 a) {
  const __m256i b = _mm256_add_epi32(a.lo, a.hi);
  const __m128i c = _mm_add_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
  const __m128i d = _mm_add_epi32(c, _mm_shuffle_epi32(c, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(d, _mm_shuffle_epi32(d, 0xb1)));
}
inline int32_t max_lanes(I32x16 a) {
  const __m256i b = _mm256_max_epi32(a.lo, a.hi);
  const __m128i c = _mm_max_epi32(_mm256_castsi256_si128(b), _mm256_extracti128_si256(b, 1));
  const __m128i d = _mm_max_epi32(c, _mm_shuffle_epi32(c, 0x4e));
  return _mm_cvtsi128_si32(_mm_max_epi32(d, _mm_shuffle_epi32(d, 0xb1)));
}
/// Lane n is the combination of all lanes of v[n].
template <typename Combine>
inline I32x16 combine_lanes(const I32x16 (&v)[16], const Combine& combine) {
  __m256i four[4];  // rows 4 i to 4 i + 3: the combination of lanes 0 to 3 of each, then of lanes 4 to 7
  for (int i = 0; i < 4; ++i) {
    __m256i row[4];
    for (int j = 0; j < 4; ++j) row[j] = combine(v[4 * i + j].lo, v[4 * i + j].hi);
    const __m256i a = combine(_mm256_unpacklo_epi32(row[0], row[1]), _mm256_unpackhi_epi32(row[0], row[1]));
    const __m256i b = combine(_mm256_unpacklo_epi32(row[2], row[3]), _mm256_unpackhi_epi32(row[2], row[3]));
    four[i] = combine(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
  }
  const auto join = [&](__m256i a, __m256i b) {
    return combine(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
  };
  return {join(four[0], four[1]), join(four[2], four[3])};
}
inline I32x16 sum_each(const I32x16 (&v)[16]) {
  return combine_lanes(v, [](__m256i a, __m256i b) { return _mm256_add_epi32(a, b); });
}
inline I32x16 max_each(const I32x16 (&v)[16]) {
  return combine_lanes(v, [](__m256i a, __m256i b) { return _mm256_max_epi32(a, b); });
}
inline void transpose(__m256i (&v)[8]) {
  __m256i a[8], b[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
    a[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
    v[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
  }
}
inline void transpose(I32x16 (&v)[16]) {
  I32x16 out[16];
  for (int i = 0; i < 16; i += 8) {
    __m256i low[8], high[8];
    for (int j = 0; j < 8; ++j) {
      low[j] = v[i + j].lo;
      high[j] = v[i + j].hi;
    }
    transpose(low);
    transpose(high);
    for (int j = 0; j < 8; ++j) {
      (i == 0 ? out[j].lo : out[j].hi) = low[j];
      (i == 0 ? out[j + 8].lo : out[j + 8].hi) = high[j];
    }
  }
  for (int i = 0; i < 16; ++i) v[i] = out[i];
}

inline U8x64 load_u8(const void* p) { return {load_256(p), load_256(static_cast<const char*>(p) + 32)}; }
inline void store_u8x64(void* p, U8x64 a) {
  _mm256_storeu_si256(static_cast<__m256i*>(p), a.lo);
  _mm256_storeu_si256(static_cast<__m256i*>(p) + 1, a.hi);
}
inline U8x64 set_u8(int x) { return {_mm256_set1_epi8(static_cast<char>(x)), _mm256_set1_epi8(static_cast<char>(x))}; }
inline U8x64 operator&(U8x64 a, U8x64 b) { return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)}; }
inline U8x64 operator|(U8x64 a, U8x64 b) { return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)}; }
inline U8x64 operator^(U8x64 a, U8x64 b) { return {_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)}; }
template <int kBits>
inline U8x64 shift_right(U8x64 a) {
  if constexpr (kBits == 0) return a;
  return {_mm256_srli_epi16(a.lo, kBits), _mm256_srli_epi16(a.hi, kBits)};
}
template <int kBits>
inline U8x64 shift_left(U8x64 a) {
  if constexpr (kBits == 0) return a;
  return {_mm256_slli_epi16(a.lo, kBits), _mm256_slli_epi16(a.hi, kBits)};
}
inline U8x64 lookup16(const uint8_t* table, U8x64 index) {
  const __m256i t = _mm256_broadcastsi128_si256(load_128(table));
  return {_mm256_shuffle_epi8(t, index.lo), _mm256_shuffle_epi8(t, index.hi)};
}

inline I32x16 load_quad(const int8_t* p) {
  int32_t quad;
  __builtin_memcpy(&quad, p, 4);
  return set_i32(quad);
}

inline constexpr bool kSignedDot = false;
#if defined(__AVXVNNI__)
inline I32x16 dot(I32x16 acc, U8x64 w, I32x16 x) {
  return {_mm256_dpbusd_avx_epi32(acc.lo, w.lo, x.lo), _mm256_dpbusd_avx_epi32(acc.hi, w.hi, x.hi)};
}
#else
/// Four inputs in 16 bits, each pair in every lane: (x[0], x[2]) and (x[1], x[3]).
struct WideQuad {
  __m256i even, odd;
};
/// Bytes of a WideQuad in memory: 16-bit x[0], x[2], x[1], x[3].
inline constexpr int kWideQuadBytes = 8;
inline WideQuad load_wide_quad(const int8_t* p) { return {load_quad(p).lo, load_quad(p + 4).lo}; }
/// q[16] to four of them.
inline void store_wide_quads(int8_t* p, I32x16 q) {
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(q.lo, q.hi), 0xd8);
  const __m256i quads = _mm256_shufflehi_epi16(_mm256_shufflelo_epi16(words, 0xd8), 0xd8);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), quads);
}
// vpmaddubsw would saturate with codes above 128, and any other use of it takes one more instruction on the two ports that
// multiply. Two products of 16 bits a lane take none: 32 products are two multiplications and two additions.
inline __m256i dot_half(__m256i acc, __m256i w, WideQuad x) {
  acc = _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_and_si256(w, _mm256_set1_epi16(0xff)), x.even));
  return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_srli_epi16(w, 8), x.odd));
}
inline I32x16 dot(I32x16 acc, U8x64 w, WideQuad x) { return {dot_half(acc.lo, w.lo, x), dot_half(acc.hi, w.hi, x)}; }

/// Sums in 16 bits: half the instructions of dot() where codes are so small that several steps fit.
inline constexpr bool kHasNarrowDot = true;
struct I16x32 {
  __m256i lo, hi;
};
/// Fixes a sum at this point of the program. Compilers know that integer sums may be reordered: they would work row by row
/// and spill the weights that the rows share.
inline void pin(I16x32& a) { asm("" : "+x"(a.lo), "+x"(a.hi)); }
inline void pin(I32x16& a) { asm("" : "+x"(a.lo), "+x"(a.hi)); }
inline I16x32 zero_i16() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
/// acc[2n + i] + w[4n + 2i] · x[2i] + w[4n + 2i + 1] · x[2i + 1].
inline I16x32 dot_narrow(I16x32 acc, U8x64 w, I32x16 x) {
  return {_mm256_add_epi16(acc.lo, _mm256_maddubs_epi16(w.lo, x.lo)), _mm256_add_epi16(acc.hi, _mm256_maddubs_epi16(w.hi, x.hi))};
}
/// acc[n] + sum[2n] + sum[2n + 1].
inline I32x16 widen_add(I32x16 acc, I16x32 sum) {
  const __m256i one = _mm256_set1_epi16(1);
  return {_mm256_add_epi32(acc.lo, _mm256_madd_epi16(sum.lo, one)), _mm256_add_epi32(acc.hi, _mm256_madd_epi16(sum.hi, one))};
}
#endif

inline constexpr bool kHasBf16Dot = false;
void store_bf16(uint16_t* p, F32x16 a);  // where there is that product
I32x16 pair_bf16(F32x16 a, F32x16 b);
inline F32x16 dot_bf16(F32x16 acc, I32x16 w, I32x16 x) {
  const I32x16 high = set_i32(static_cast<int32_t>(0xffff0000));
  acc = fma(as_f32(w & high), as_f32(x & high), acc);
  return fma(as_f32(shift_left<16>(w)), as_f32(shift_left<16>(x)), acc);
}

inline void prefetch(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0); }
inline void prefetch_l2(const void* p) { _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T1); }

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME

#include "backend/cpu/simd/lanes_one_by_one.h"
#if defined(__AVXVNNI__)
#include "backend/cpu/simd/no_narrow_dot.h"
#endif
