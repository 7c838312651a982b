// The types that keys and values are kept in, and writing them: keys are transposed in registers, 16 tokens × 16 dimensions at a time.
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

/// Lane n is the pair of bf16 that a[n] and b[n] round to. An instruction for it flushes denormals, as everything that reads them does.
inline I32x16 round_to_pairs(F32x16 a, F32x16 b) {
  if constexpr (kHasBf16Dot) {
    return pair_bf16(a, b);
  } else {
    return shift_right<16>(round_high(a)) | keep_second(round_high(b));
  }
}
inline void store_kv(uint16_t* p, F32x16 x) {
  if constexpr (kHasBf16Dot) {
    store_bf16(p, x);
  } else {
    store_u16(p, round_to_bf16(x));
  }
}

/// Dimensions [0, dims), at most 16, of the keys of 16 tokens; x[d] is dimension d, a token a lane. Of bf16 two go side by side.
inline void store_keys(const I32x16 (&x)[16], F32x16, int64_t dims, float* keys) {
  for (int64_t d = 0; d < dims; ++d) store_f32(keys + d * kKeys, as_f32(x[d]));
}
inline void store_keys(const I32x16 (&x)[16], F32x16, int64_t dims, uint16_t* keys) {
  for (int64_t d = 0; d < dims; d += 2) {
    store_i32(reinterpret_cast<int32_t*>(keys + d * kKeys), round_to_pairs(as_f32(x[d]), as_f32(x[d + 1])));
  }
}
inline void store_keys(const I32x16 (&x)[16], F32x16 inverse, int64_t dims, int8_t* keys) {
  for (int64_t d = 0; d < dims; ++d) store_kv(keys + d * kKeys, as_f32(x[d]) * inverse);
}

/// Numbers of one token that lie side by side in keys.
template <typename T>
inline constexpr int64_t kTogether = sizeof(T) == 2 ? 2 : 1;

/// The same dimensions of one token.
inline void store_key(const float* x, float, int64_t dims, float* keys) {
  for (int64_t d = 0; d < dims; ++d) keys[d * kKeys] = x[d];
}
template <typename T>
inline void store_key(const float* x, float inverse, int64_t dims, T* keys) {
  alignas(64) T numbers[16];
  const F32x16 k = load_first(x, dims);
  store_kv(numbers, KvPart<T>::kScaled ? k * set_f32(inverse) : k);
  for (int64_t d = 0; d < dims; d += kTogether<T>) __builtin_memcpy(keys + d * kKeys, numbers + d, kTogether<T> * sizeof(T));
}

/// Keys of tokens [t, t + tokens), at most 16, to where the first of them has its slot. `inverse`: what each is multiplied by.
template <typename T>
inline void write_keys(const KvWriteTask& task, int64_t t, int64_t tokens, const float* inverse, T* keys) {
  const int64_t D = task.head_dim;
  for (int64_t d = 0; d < D; d += 16) {
    const int64_t dims = D - d < 16 ? D - d : 16;
    const float* k = task.k + t * task.k_stride + d;
    if (tokens == 16) {
      I32x16 x[16];
      for (int64_t i = 0; i < 16; ++i) x[i] = as_i32(load_first(k + i * task.k_stride, dims));
      transpose(x);
      store_keys(x, load_f32(inverse), dims, keys + d * kKeys);
    } else {
      for (int64_t i = 0; i < tokens; ++i) {
        store_key(k + i * task.k_stride, inverse[i], dims, keys + d * kKeys + i * kTogether<T>);
      }
    }
  }
}

/// The first `count` lanes.
template <typename T>
inline void store_kv_first(T* p, F32x16 x, int64_t count) {
  if (count == 16) return store_kv(p, x);
  T numbers[16];
  store_kv(numbers, x);
  for (int64_t i = 0; i < count; ++i) p[i] = numbers[i];
}

/// Values of tokens [t, t + tokens), [tokens, D].
template <typename T>
inline void write_values(const KvWriteTask& task, int64_t t, int64_t tokens, const float* inverse, T* values) {
  const int64_t D = task.head_dim;
  for (int64_t i = 0; i < tokens; ++i) {
    for (int64_t d = 0; d < D; d += 16) {
      const F32x16 v = load_first(task.v + (t + i) * task.v_stride + d, D - d);
      store_kv_first(values + i * D + d, KvPart<T>::kScaled ? v * set_f32(inverse[i]) : v, D - d < 16 ? D - d : 16);
    }
  }
}

/// Values of all tokens: [32, D] pairs of tokens. Of a pair that is not whole here the other half stays.
inline void write_value_pairs(const KvWriteTask& task, int32_t* pairs) {
  const int64_t D = task.head_dim;
  for (int64_t i = 0; i < task.count;) {
    const int64_t slot = task.slot + i;
    const bool second = slot % 2 == 1, both = !second && i + 1 < task.count;
    const float* v = task.v + i * task.v_stride;
    int32_t* to = pairs + slot / 2 * D;
    for (int64_t d = 0; d < D; d += 16) {
      const int64_t dims = D - d < 16 ? D - d : 16;
      const F32x16 one = load_first(v + d, dims), two = both ? load_first(v + task.v_stride + d, dims) : one;
      I32x16 words = round_to_pairs(one, two);
      if (!both) {
        const I32x16 there = dims == 16 ? load_i32(to + d) : load_pairs_first(to + d, dims);
        words = second ? keep_first(there) | keep_second(words) : keep_second(there) | keep_first(words);
      }
      store_first(reinterpret_cast<float*>(to + d), as_f32(words), dims);
    }
    i += both ? 2 : 1;
  }
}

template <typename T>
inline void kv_write(const KvWriteTask& task) {
  const int64_t D = task.head_dim;
  const KvPart<T> keys(task.block, D), values(static_cast<char*>(task.block) + task.part_bytes, D);
  float k_inverse[16] = {}, v_inverse[16] = {};
  for (int64_t t = 0; t < task.count; t += 16) {
    const int64_t tokens = task.count - t < 16 ? task.count - t : 16, slot = task.slot + t;
    for (int64_t i = 0; KvPart<T>::kScaled && i < tokens; ++i) {
      k_inverse[i] = choose_scale(task.k + (t + i) * task.k_stride, D, keys.scales[slot + i]);
      v_inverse[i] = choose_scale(task.v + (t + i) * task.v_stride, D, values.scales[slot + i]);
    }
    write_keys(task, t, tokens, k_inverse, keys.numbers + slot * kTogether<T>);
    if constexpr (kTogether<T> == 1) write_values(task, t, tokens, v_inverse, values.numbers + slot * D);
  }
  if constexpr (kTogether<T> == 2) write_value_pairs(task, reinterpret_cast<int32_t*>(values.numbers));
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
