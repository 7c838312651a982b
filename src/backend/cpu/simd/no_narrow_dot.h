// Where dot() takes bytes as they are, as good as any other way: what stands in for sums in 16 bits and for inputs widened to
// 16 bits (simd/avx2.h). Included by a simd/<isa>.h at its end.
#pragma once

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

inline constexpr bool kHasNarrowDot = false;
using I16x32 = I32x16;
inline void pin(I32x16&) {}
inline I16x32 zero_i16() { return zero_i32(); }
inline I16x32 dot_narrow(I16x32 acc, U8x64 w, I32x16 x) { return dot(acc, w, x); }
inline I32x16 widen_add(I32x16 acc, I16x32 sum) { return acc + sum; }

inline constexpr int kWideQuadBytes = 4;
inline I32x16 load_wide_quad(const int8_t* p) { return load_quad(p); }
inline void store_wide_quads(int8_t* p, I32x16 q) { store_u8(reinterpret_cast<uint8_t*>(p), q); }

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
