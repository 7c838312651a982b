// The tile registers of AMX: 16 rows of 64 bytes each, and products of whole tiles. Included by avx512.h where the unit is compiled
// for them. Written as assembly, because the compilers' intrinsics differ in what they take as a register's number: the order of these
// statements is all that ties a shape to what follows it, so nothing in these units may let a compiler make tile code of its own.
//
// What the registers hold is left in them: it costs a switch of threads 8 KB until the thread sleeps, when Linux clears them; to release
// them after every product would cost a shape each time.
#pragma once

#include <stdint.h>

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

inline constexpr int64_t kAmxRows = 16, kAmxBytes = 64;  // of a register
inline constexpr int kAmxOffsets = 3;                    // a register that groups use otherwise than the rest

/// What the registers hold. The kernels here have one use for each: 0 to 3 are sums, 4 and 5 rows of activations, 6 and
/// 7 weights; products of groups have minus the offset of all weights in 3, which has the shape of weights then.
struct alignas(64) AmxShape {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

/// `rows` rows of activations and sums, `bytes` bytes of activations a row, as many of weights an output; `groups`: for products of groups,
/// with or without an offset, so that both find one shape. Loading a shape takes some 200
/// cycles, finding that it is there already 20. Another shape that somebody else left in this thread is noticed; other contents are not,
/// but kernels load or clear all that they read.
inline void amx_shape(int64_t rows, int64_t bytes, bool groups = false) {
  AmxShape wanted, now;
  for (int i = 0; i < 8; ++i) {
    wanted.rows[i] = static_cast<uint8_t>(i < 6 && !(groups && i == kAmxOffsets) ? rows : bytes / 4);
    wanted.row_bytes[i] = static_cast<uint16_t>(i == 4 || i == 5 ? bytes : 64);
  }
  asm volatile("sttilecfg %0" : "=m"(now));
  if (__builtin_memcmp(&now, &wanted, sizeof now) != 0) asm volatile("ldtilecfg %0" : : "m"(wanted));
}

template <int kRegister>
inline void amx_zero() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kRegister));
}
/// Rows `stride` bytes apart.
template <int kRegister>
inline void amx_load(const void* p, int64_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(p), "r"(stride), "i"(kRegister) : "memory");
}
template <int kRegister>
inline void amx_store(void* p, int64_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(p), "r"(stride), "i"(kRegister) : "memory");
}

/// sums[m][n] += Σ_k x[m][k] · w[k / 4][4 n + k % 4], x signed; exact in int32. w signed, or unsigned.
template <int kSums, int kX, int kW>
inline void amx_dot_s8s8() {
  asm volatile("tdpbssd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kX), "i"(kW));
}
template <int kSums, int kX, int kW>
inline void amx_dot_s8u8() {
  asm volatile("tdpbsud %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kX), "i"(kW));
}
/// The same of pairs of bf16, in fp32: the products of even k and those of odd k are summed by themselves, ascending and from zero, each
/// step rounded once; then sums += even + odd. Denormals are zero.
template <int kSums, int kX, int kW>
inline void amx_dot_bf16() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSums), "i"(kX), "i"(kW));
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
