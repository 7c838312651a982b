// The types that keys and values are kept in, and writing them: keys are transposed 16 × 16 at a time.
#pragma once

#include "backend/cpu/kernels/magnitude-inl.h"
#include "backend/cpu/kernels/math-inl.h"
#include "backend/cpu/op_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

inline F32x16 load_kv(const float* p) { return load_f32(p); }
inline F32x16 load_kv(const int8_t* p) { return to_f32(load_s8_to_i32(p)); }

/// The first `count` lanes; nothing behind them is read.
template <typename T>
inline F32x16 load_kv_first(const T* p, int64_t count) {
  T lanes[16] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = p[i];
  return load_kv(lanes);
}
inline I32x16 load_pairs_first(const int32_t* p, int64_t count) {
  int32_t lanes[16] = {};
  for (int64_t i = 0; i < count; ++i) lanes[i] = p[i];
  return load_i32(lanes);
}

/// Pairs of bf16: the first number of each pair is in the low half of its 32 bits.
inline I32x16 keep_first(I32x16 pairs) { return pairs & set_i32(0xffff); }
inline I32x16 keep_second(I32x16 pairs) { return pairs & set_i32(static_cast<int32_t>(0xffff0000)); }
inline F32x16 first_of(I32x16 pairs) { return as_f32(shift_left<16>(pairs)); }
inline F32x16 second_of(I32x16 pairs) { return as_f32(keep_second(pairs)); }

inline void store_kv(float* p, F32x16 x) { store_f32(p, x); }
/// Codes; NaN becomes 0, its scale is NaN or infinity.
inline void store_kv(int8_t* p, F32x16 x) { store_u8(reinterpret_cast<uint8_t*>(p), to_i32(select(unordered(x), zero_f32(), x))); }

/// The keys, or the values, of one head and block: 64 · D numbers, and behind them 64 scales where the type has some.
template <typename T>
struct KvPart {
  static constexpr bool kScaled = sizeof(T) == 1;
  KvPart(void* memory, int64_t head_dim) : numbers(static_cast<T*>(memory)) {
    void* behind = numbers + kKeys * head_dim;
    if constexpr (kScaled) scales = static_cast<float*>(behind);
  }
  T* numbers;
  float* scales = nullptr;
};

/// Tells the scale of a vector, and gives what its numbers are multiplied by before they are rounded to codes.
inline float choose_scale(const float* x, int64_t head_dim, float& scale) {
  const float most = max_magnitude(x, head_dim);
  scale = most / 127.0f;
  const float inverse = 127.0f / most;
  return inverse > __FLT_MAX__ ? __FLT_MAX__ : inverse;
}

/// Pairs of dimensions of tokens [t, t + tokens), at most 16: [ceil(D / 2), 64] pairs, from the slot of the first on.
inline void write_key_pairs(const KvWriteTask& task, int64_t t, int64_t tokens, int32_t* pairs) {
  const int64_t D = task.head_dim;
  int32_t tile[16][16];
  for (int64_t d = 0; d < D; d += 16) {
    for (int64_t i = 0; i < tokens; ++i) {
      store_u16(reinterpret_cast<uint16_t*>(tile[i]), round_to_bf16(load_first(task.k + (t + i) * task.k_stride + d, D - d)));
    }
    const int64_t count = D - d < 16 ? (D - d + 1) / 2 : 8;
    for (int64_t j = 0; j < count; ++j) {
      for (int64_t i = 0; i < tokens; ++i) pairs[(d / 2 + j) * kKeys + i] = tile[i][j];
    }
  }
}

/// Values of tokens [t, t + count) to the slots from `slot` on: [32, D] pairs of tokens.
inline void write_value_pairs(const KvWriteTask& task, int64_t t, int64_t count, int64_t slot, int32_t* pairs) {
  const int64_t D = task.head_dim;
  for (int64_t i = 0; i < count;) {
    const bool both = (slot + i) % 2 == 0 && i + 1 < count;
    const float* v = task.v + (t + i) * task.v_stride;
    int32_t* to = pairs + (slot + i) / 2 * D;
    for (int64_t d = 0; d < D; d += 16) {
      const I32x16 one = round_to_bf16(load_first(v + d, D - d));
      const int64_t lanes = D - d < 16 ? D - d : 16;
      int32_t words[16];
      if (!both) {
        store_i32(words, one);
        auto* half = reinterpret_cast<uint16_t*>(to + d) + (slot + i) % 2;
        for (int64_t j = 0; j < lanes; ++j) half[2 * j] = static_cast<uint16_t>(words[j]);
        continue;
      }
      const I32x16 two = shift_left<16>(round_to_bf16(load_first(v + task.v_stride + d, D - d)));
      if (lanes == 16) {
        store_i32(to + d, one | two);
      } else {
        store_i32(words, one | two);
        for (int64_t j = 0; j < lanes; ++j) to[d + j] = words[j];
      }
    }
    i += both ? 2 : 1;
  }
}

template <typename T>
inline void kv_write(const KvWriteTask& task) {
  const int64_t D = task.head_dim;
  const KvPart<T> key_part(task.block, D), value_part(static_cast<char*>(task.block) + task.part_bytes, D);
  T* keys = key_part.numbers + task.slot;          // [D, 64]
  T* values = value_part.numbers + task.slot * D;  // [64, D]
  T tile[16][16];
  float k_inverse[16] = {}, v_inverse[16] = {};
  const auto load = [](const float* x, int64_t lanes, float inverse) {
    const F32x16 numbers = load_first(x, lanes);
    return KvPart<T>::kScaled ? numbers * set_f32(inverse) : numbers;
  };
  for (int64_t t = 0; t < task.count; t += 16) {
    const int64_t tokens = task.count - t < 16 ? task.count - t : 16;
    for (int64_t i = 0; KvPart<T>::kScaled && i < tokens; ++i) {
      k_inverse[i] = choose_scale(task.k + (t + i) * task.k_stride, D, key_part.scales[task.slot + t + i]);
      v_inverse[i] = choose_scale(task.v + (t + i) * task.v_stride, D, value_part.scales[task.slot + t + i]);
    }
    for (int64_t d = 0; d < D; d += 16) {
      const int64_t lanes = D - d < 16 ? D - d : 16;
      for (int64_t i = 0; i < tokens; ++i) store_kv(tile[i], load(task.k + (t + i) * task.k_stride + d, lanes, k_inverse[i]));
      for (int64_t j = 0; j < lanes; ++j) {
        for (int64_t i = 0; i < tokens; ++i) keys[(d + j) * kKeys + t + i] = tile[i][j];
      }
      for (int64_t i = 0; i < tokens; ++i) {
        T* to = values + (t + i) * D + d;
        const F32x16 v = load(task.v + (t + i) * task.v_stride + d, lanes, v_inverse[i]);
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

template <>
inline void kv_write<uint16_t>(const KvWriteTask& task) {
  auto* keys = static_cast<int32_t*>(task.block);
  auto* values = reinterpret_cast<int32_t*>(static_cast<char*>(task.block) + task.part_bytes);
  for (int64_t t = 0; t < task.count; t += 16) {
    write_key_pairs(task, t, task.count - t < 16 ? task.count - t : 16, keys + task.slot + t);
  }
  write_value_pairs(task, 0, task.count, task.slot, values);
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
