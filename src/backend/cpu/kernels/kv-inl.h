// The types that keys and values are kept in, and writing them: keys are transposed 16 × 16 at a time.
#pragma once

#include "backend/cpu/op_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

inline F32x16 load_kv(const float* p) { return load_f32(p); }
inline F32x16 load_kv(const uint16_t* p) { return as_f32(shift_left<16>(load_u16(p))); }

/// The first `count` lanes; nothing behind them is read.
template <typename T>
inline F32x16 load_kv_first(const T* p, int64_t count) {
  T lanes[16] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = p[i];
  return load_kv(lanes);
}

inline void store_kv(float* p, F32x16 x) { store_f32(p, x); }
/// Rounded to nearest even; NaN stays NaN.
inline void store_kv(uint16_t* p, F32x16 x) {
  const I32x16 bits = as_i32(x);
  const I32x16 odd = shift_right<16>(bits) & set_i32(1);
  const I32x16 rounded = shift_right<16>(bits + set_i32(0x7fff) + odd);
  const I32x16 quiet = shift_right<16>(bits) | set_i32(0x40);
  store_u16(p, select(unordered(x), quiet, rounded));
}

template <typename T>
inline void kv_write(const KvWriteTask& task) {
  const int64_t D = task.head_dim;
  T* keys = static_cast<T*>(task.block) + task.slot;                  // [D, 64]
  T* values = static_cast<T*>(task.block) + (kKeys + task.slot) * D;  // [64, D]
  T tile[16][16];
  for (int64_t t = 0; t < task.count; t += 16) {
    const int64_t tokens = task.count - t < 16 ? task.count - t : 16;
    for (int64_t d = 0; d < D; d += 16) {
      const int64_t lanes = D - d < 16 ? D - d : 16;
      for (int64_t i = 0; i < tokens; ++i) store_kv(tile[i], load_first(task.k + (t + i) * task.k_stride + d, lanes));
      for (int64_t j = 0; j < lanes; ++j) {
        for (int64_t i = 0; i < tokens; ++i) keys[(d + j) * kKeys + t + i] = tile[i][j];
      }
      for (int64_t i = 0; i < tokens; ++i) {
        T* to = values + (t + i) * D + d;
        const F32x16 v = load_first(task.v + (t + i) * task.v_stride + d, lanes);
        if (lanes == 16) {
          store_kv(to, v);
        } else {
          store_kv(tile[0], v);
          for (int64_t j = 0; j < lanes; ++j) to[j] = tile[0][j];
        }
      }
    }
  }
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
