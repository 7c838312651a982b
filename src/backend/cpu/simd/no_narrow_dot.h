// Stands in for sums in 16 bits (simd/avx2.h) where dot_small() needs no such help. Included by a simd/<isa>.h after it.
#pragma once

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

inline constexpr bool kHasNarrowDot = false;
using I16x32 = I32x16;
inline void pin(I32x16&) {}
inline I16x32 zero_i16() { return zero_i32(); }
inline I16x32 dot_narrow(I16x32 acc, U8x64 w, I32x16 x) { return dot_small(acc, w, x); }
inline I32x16 widen_add(I32x16 acc, I16x32 sum) { return acc + sum; }

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
