// One block of keys and values for up to 16 rows by the tile registers of AMX, where keys and values are pairs of bf16 and a head has
// whole groups of 32 dimensions: both lie as the registers want them. Included by attention-inl.h.
//
// A register sums 32 dimensions of a score, or 32 keys of an output, by itself (amx_dot_bf16 tells how). Keys that a row does not see have
// a weight of zero there, which changes no sum of finite values but the sign of a zero; where some value is not finite, rows sum what they
// see by themselves.
#pragma once

#include "backend/cpu/kernels/unrolled-inl.h"
#include "backend/cpu/simd/amx.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// Dimensions or keys that a register sums.
inline constexpr int64_t kAmxDepth = 32;

/// Whether a head's blocks go through the registers.
template <typename T>
inline bool by_amx(const AttentionShape& shape) {
  return kRounded<T> && shape.head_dim % kAmxDepth == 0;
}

/// scores [rows, 64] = q · k for the vectors of 16 keys that `keys` touches; what the others hold is anything.
inline void amx_scores(const float* q, int64_t stride, const uint16_t* k, int64_t head_dim, Range keys, float* scores) {
  const auto touched = [&](int64_t v) { return 16 * v < keys.end && 16 * (v + 1) > keys.begin; };
  unrolled<0, 4>([](auto v) { amx_zero<v>(); });
  for (int64_t d = 0; d < head_dim; d += kAmxDepth) {
    amx_load<4>(q + d / 2, stride * 4);
    unrolled<0, 4>([&](auto v) {
      if (!touched(v)) return;
      amx_load<6 + v % 2>(k + d * kKeys + 32 * v, kKeys * 4);
      amx_dot_bf16<v, 4, 6 + v % 2>();
    });
  }
  unrolled<0, 4>([&](auto v) {
    if (touched(v)) amx_store<v>(scores + 16 * v, kKeys * 4);
  });
}

/// Whether all numbers of the 32 keys from `first` on are finite.
inline bool finite_values(const uint16_t* values, int64_t head_dim, int64_t first) {
  const I32x16 low = set_i32(0x7f80), high = set_i32(0x7f800000);
  I32x16 most_low = zero_i32(), most_high = zero_i32();
  const auto* pairs = reinterpret_cast<const int32_t*>(values) + first / 2 * head_dim;
  for (int64_t i = 0; i < kAmxDepth / 2 * head_dim; i += 16) {
    const I32x16 x = load_i32(pairs + i);
    most_low = max(most_low, x & low);
    most_high = max(most_high, x & high);
  }
  return max_lanes(most_low) < 0x7f80 && max_lanes(most_high) < 0x7f800000;
}

/// What the registers would add to one row's sums for those of 32 keys that it sees, the others left out.
inline void add_seen_values(const float* e, const uint16_t* values, int64_t head_dim, Range keys, float* sums) {
  for (int64_t d = 0; d < head_dim; d += 16) {
    F32x16 even = zero_f32(), odd = zero_f32();
    for (int64_t i = keys.begin / 2; 2 * i < keys.end; ++i) {
      const I32x16 pairs = load_i32(reinterpret_cast<const int32_t*>(values) + i * head_dim + d);
      const I32x16 weights = load_quad(reinterpret_cast<const int8_t*>(e + i));
      if (2 * i >= keys.begin) even = fma(first_of(weights), first_of(pairs), even);
      if (2 * i + 1 < keys.end) odd = fma(second_of(weights), second_of(pairs), odd);
    }
    store_f32(sums + d, load_f32(sums + d) + (even + odd));
  }
}

/// sums [rows, D] += the weighted values of the 32 keys from `first` on.
inline void amx_values(const float* e, const uint16_t* values, int64_t head_dim, int64_t first, float* sums, int64_t stride) {
  for (int64_t d = 0; d < head_dim; d += kAmxDepth) {
    unrolled<0, 2>([&](auto v) { amx_load<v>(sums + d + 16 * v, stride * 4); });
    amx_load<4>(e + first / 2, kKeys * 4);
    unrolled<0, 2>([&](auto v) {
      amx_load<6 + v>(values + first * head_dim + 2 * d + 32 * v, head_dim * 4);
      amx_dot_bf16<v, 4, 6 + v>();
    });
    unrolled<0, 2>([&](auto v) { amx_store<v>(sums + d + 16 * v, stride * 4); });
  }
}

/// The weighted values of one block for some rows, of which row n sees keys[n] and any of them sees `any`.
inline void amx_add_values(const AttentionState& state, int64_t rows, const Range* keys, Range any, const uint16_t* values,
                           int64_t head_dim, const float* factor, float* sums) {
  const int64_t stride = state.padded_dim;
  Range all{0, kKeys};
  for (int64_t n = 0; n < rows; ++n) {
    if (keys[n].end == 0) {  // its scores are no weights
      for (int64_t i = 0; i < kKeys; i += 16) store_f32(state.scores + n * kKeys + i, zero_f32());
    }
    all = {clamp(keys[n].begin, all.begin, kKeys), clamp(keys[n].end, 0, all.end)};
    const F32x16 scale = set_f32(factor[n]);
    for (int64_t d = 0; d < head_dim; d += 16) store_f32(sums + n * stride + d, load_f32(sums + n * stride + d) * scale);
  }
  const auto by_registers = [&](int64_t first) {
    return (all.begin <= first && first + kAmxDepth <= all.end) || finite_values(values, head_dim, first);
  };
  for (int64_t first = any.begin / kAmxDepth * kAmxDepth; first < any.end; first += kAmxDepth) {
    if (by_registers(first)) {
      amx_values(state.scores, values, head_dim, first, sums, stride);
      continue;
    }
    for (int64_t n = 0; n < rows; ++n) {
      const Range seen{clamp(keys[n].begin, first, first + kAmxDepth), clamp(keys[n].end, first, first + kAmxDepth)};
      if (seen.begin < seen.end) add_seen_values(state.scores + n * kKeys, values, head_dim, seen, sums + n * stride);
    }
  }
}

/// block_tile() for up to 16 rows.
inline void amx_block_tile(const AttentionTask& task, const AttentionState& state, int64_t row, int64_t rows, int64_t first, char* block) {
  const AttentionShape& shape = *task.shape;
  const int64_t D = shape.head_dim, stride = state.padded_dim;
  const KvPart<uint16_t> key_part(block, D), value_part(block + shape.part_bytes, D);
  Range keys[kAmxRows];
  const Range any = visible_keys(task, state.positions + row, rows, first, keys);
  if (any.begin >= any.end) return;
  amx_shape(rows, kAmxBytes);
  amx_scores(state.queries + row * stride, stride, key_part.numbers, D, any, state.scores);
  alignas(64) float factor[kAmxRows + 16];
  for (int64_t n = 0; n < rows; n += kTileRows) {
    with_rows(rows - n < kTileRows ? rows - n : kTileRows, [&](auto count) {
      softmax_tile<decltype(count)::value, uint16_t>(task, state, row + n, {first, nullptr, nullptr}, keys + n, state.scores + n * kKeys,
                                                     factor + n);
    });
  }
  amx_add_values(state, rows, keys, any, value_part.numbers, D, factor, state.sums + row * stride);
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
