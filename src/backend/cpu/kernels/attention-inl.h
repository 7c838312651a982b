// Attention over blocks of 64 keys with an online softmax (Milakov and Gimelshein 2018; contract/attention.h). A row is one
// query of one head; the rows of all heads that share a key and value head go together, in tiles that read every key and
// value once for all their rows. What is done for a row never depends on the rows beside it.
#pragma once

#include "backend/cpu/kernels/kv-inl.h"
#include "backend/cpu/kernels/math-inl.h"
#include "backend/cpu/op_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

inline constexpr int kTileRows = kFloatRows;
/// Vectors of outputs beside `rows` rows, so that all sums stay in registers.
constexpr int tile_vectors(int rows) {
  const int room = kFloatRows * kFloatVectors / rows;
  return room >= 4 ? 4 : (room >= 2 ? 2 : 1);
}

/// exp(x) for x ≤ 0, relative error 3e-7 (2e-7 above -10). 0 below -87.34, where fp32 has no normal numbers (denormals are
/// flushed in every thread). NaN stays NaN: max() gives its second operand then.
inline F32x16 exp_negative(F32x16 x) {
  x = max(set_f32(-87.6f), x);  // the lowest n is then -126
  // Adding 1.5 · 2^23 rounds to an integer, which also stands in the low bits of the sum.
  const F32x16 big = set_f32(12582912.0f);
  const F32x16 shifted = fma(x, set_f32(1.44269504f), big);
  const F32x16 r = fnma(shifted - big, set_f32(0.693147181f), x);
  // as exp() of math-inl.h
  F32x16 p = polynomial(r, 1.989927841e-4f, 1.393364510e-3f, 8.333298378e-3f, 4.166646674e-2f, 1.666666716e-1f, 0.5f, 1.0f, 1.0f);
  return p * as_f32(shift_left<23>(as_i32(shifted) + set_i32(127)));
}

/// Keys [begin, end) of one block that a row sees.
struct Range {
  int64_t begin, end;
};

inline int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : (x > high ? high : x); }

/// Of all keys of the sequence, those that the query at `position` sees.
inline Range visible(const AttentionTask& task, int64_t position) {
  const int64_t window = task.shape->window;
  if (task.shape->causal) return {window > 0 ? clamp(position - window + 1, 0, position) : 0, position + 1};
  if (window > 0) return {clamp(position - window, 0, position), clamp(position + window + 1, 0, task.length)};
  return {0, task.length};
}

/// Where the parts of the scratch memory are.
struct AttentionState {
  explicit AttentionState(const AttentionTask& task) : padded_dim(attention_padded_dim(task.shape->head_dim)) {
    const int64_t rows = attention_padded_rows(task.shape->group);
    queries = task.scratch;
    sums = queries + rows * padded_dim;
    scores = sums + rows * padded_dim;
    bias = scores + 16 * kKeys;
    largest = bias + kKeys;
    total = largest + rows;
    positions = reinterpret_cast<int32_t*>(total + rows);
  }
  int64_t padded_dim;
  float* queries;      // [rows, padded D]
  float* sums;         // [rows, padded D]
  float* scores;       // [tile rows, 64]
  float* bias;         // [64]
  float* largest;      // [rows]
  float* total;        // [rows]
  int32_t* positions;  // [rows]
};

/// scores [kRows, 64] = q · k (codes where there are scales) for the vectors of 16 keys that `keys` touches. q [kRows, stride],
/// k [D, 64].
template <int kRows, typename T>
inline void score_tile(const float* q, int64_t stride, const T* k, int64_t head_dim, Range keys, float* scores) {
  constexpr int kVectors = tile_vectors(kRows);
  constexpr int64_t kStep = kVectors * 16;
  for (int64_t j = keys.begin / kStep * kStep; j < keys.end; j += kStep) {
    F32x16 sum[kRows][kVectors];
    for (int n = 0; n < kRows; ++n) {
      for (int v = 0; v < kVectors; ++v) sum[n][v] = zero_f32();
    }
    for (int64_t d = 0; d < head_dim; ++d) {
      F32x16 key[kVectors];
      for (int v = 0; v < kVectors; ++v) key[v] = load_kv(k + d * kKeys + j + 16 * v);
      for (int n = 0; n < kRows; ++n) {
        const F32x16 x = set_f32(q[n * stride + d]);
        for (int v = 0; v < kVectors; ++v) sum[n][v] = fma(x, key[v], sum[n][v]);
      }
    }
    for (int n = 0; n < kRows; ++n) {
      for (int v = 0; v < kVectors; ++v) store_f32(scores + n * kKeys + j + 16 * v, sum[n][v]);
    }
  }
}

/// sums [kRows, 16 kVectors] = sums · factor, then += e_j · v_j for the keys, ascending. e [kRows, 64], v [64, D]. Where
/// kPartial, only the first `lanes` lanes exist.
template <int kRows, int kVectors, bool kPartial, typename T>
inline void value_columns(const float* e, const T* values, int64_t head_dim, Range keys, const float* factor, float* sums,
                          int64_t padded_dim, int64_t lanes) {
  F32x16 sum[kRows][kVectors];
  for (int n = 0; n < kRows; ++n) {
    for (int v = 0; v < kVectors; ++v) sum[n][v] = load_f32(sums + n * padded_dim + 16 * v) * set_f32(factor[n]);
  }
  for (int64_t j = keys.begin; j < keys.end; ++j) {
    F32x16 value[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const T* p = values + j * head_dim + 16 * v;
      if constexpr (kPartial) {
        value[v] = load_kv_first(p, lanes);
      } else {
        value[v] = load_kv(p);
      }
    }
    for (int n = 0; n < kRows; ++n) {
      const F32x16 x = set_f32(e[n * kKeys + j]);
      for (int v = 0; v < kVectors; ++v) sum[n][v] = fma(x, value[v], sum[n][v]);
    }
  }
  for (int n = 0; n < kRows; ++n) {
    for (int v = 0; v < kVectors; ++v) store_f32(sums + n * padded_dim + 16 * v, sum[n][v]);
  }
}

/// value_columns() over all D.
template <int kRows, typename T>
inline void value_tile(const float* e, const T* values, int64_t head_dim, Range keys, const float* factor, float* sums,
                       int64_t padded_dim) {
  constexpr int kVectors = tile_vectors(kRows);
  int64_t d = 0;
  for (; d + 16 * kVectors <= head_dim; d += 16 * kVectors) {
    value_columns<kRows, kVectors, false>(e, values + d, head_dim, keys, factor, sums + d, padded_dim, 16);
  }
  if constexpr (kVectors == 4) {
    if (d + 32 <= head_dim) {
      value_columns<kRows, 2, false>(e, values + d, head_dim, keys, factor, sums + d, padded_dim, 16);
      d += 32;
    }
  }
  for (; d + 16 <= head_dim; d += 16) {
    value_columns<kRows, 1, false>(e, values + d, head_dim, keys, factor, sums + d, padded_dim, 16);
  }
  if (d < head_dim) {
    value_columns<kRows, 1, true>(e, values + d, head_dim, keys, factor, sums + d, padded_dim, head_dim - d);
  }
}

/// bias[h, clamp(j - position, ±R)] of the 64 keys from `first` on; `scratch` [64] is used where some are clamped.
inline const float* block_bias(const AttentionShape& shape, int64_t head, int64_t position, int64_t first, float* scratch) {
  const int64_t R = shape.bias_radius;
  const float* middle = shape.bias + head * (2 * R + 1) + R;
  const int64_t offset = first - position;
  if (offset >= -R && offset + kKeys - 1 <= R) return middle + offset;
  for (int64_t j = 0; j < kKeys; ++j) scratch[j] = middle[clamp(offset + j, -R, R)];
  return scratch;
}

/// Scores of one row and block to weights exp(s - m), times the values' scales; gives the new maximum and the sum of the weights
/// without scales. Scales of keys and values [64] may be null.
struct RowUpdate {
  float largest, weights;
};
inline RowUpdate softmax_row(const AttentionShape& shape, float* scores, Range keys, const float* bias, const float* key_scales,
                             const float* value_scales, float largest) {
  F32x16 s[4];
  const F32x16 nothing = set_f32(-__builtin_inff());
  const bool partial = keys.begin > 0 || keys.end < kKeys;
  for (int v = 0; v < 4; ++v) {
    s[v] = load_f32(scores + 16 * v);
    if (key_scales != nullptr) s[v] = s[v] * load_f32(key_scales + 16 * v);
    s[v] = s[v] * set_f32(shape.scale);
    if (shape.softcap > 0) s[v] = set_f32(shape.softcap) * tanh(s[v] / set_f32(shape.softcap));
    if (bias != nullptr) s[v] = s[v] + load_f32(bias + 16 * v);
    if (partial) {
      s[v] = select(first_lanes(clamp(keys.end - 16 * v, 0, 16)), s[v], nothing);
      s[v] = select(first_lanes(clamp(keys.begin - 16 * v, 0, 16)), nothing, s[v]);
    }
  }
  const float highest = max_lanes(max(max(s[0], s[1]), max(s[2], s[3])));
  if (highest > largest) largest = highest;
  for (int v = 0; v < 4; ++v) {
    s[v] = exp_negative(s[v] - set_f32(largest));
    store_f32(scores + 16 * v, value_scales == nullptr ? s[v] : s[v] * load_f32(value_scales + 16 * v));
  }
  return {largest, sum_lanes(((s[0] + s[1]) + s[2]) + s[3])};
}

/// The weighted values of one block for a tile of rows. Keys that all rows see are read once for all; the others, at the edge
/// of what is visible, row by row: a weight of zero must not meet a value that was never written.
template <int kRows, typename T>
inline void add_values(const AttentionState& state, const Range (&keys)[kRows], const T* values, int64_t head_dim, float* factor,
                       float* sums) {
  Range common = keys[0];
  for (int n = 1; n < kRows; ++n) {
    if (keys[n].begin > common.begin) common.begin = keys[n].begin;
    if (keys[n].end < common.end) common.end = keys[n].end;
  }
  const float one = 1.0f;
  const int64_t stride = state.padded_dim;
  const bool shared = common.begin < common.end;
  for (int n = 0; n < kRows; ++n) {
    const Range before{keys[n].begin, shared ? common.begin : keys[n].end};
    if (before.begin >= before.end) continue;
    value_tile<1>(state.scores + n * kKeys, values, head_dim, before, factor + n, sums + n * stride, stride);
    factor[n] = one;
  }
  if (!shared) return;
  value_tile<kRows>(state.scores, values, head_dim, common, factor, sums, stride);
  for (int n = 0; n < kRows; ++n) {
    const Range after{common.end, keys[n].end};
    if (after.begin >= after.end) continue;
    value_tile<1>(state.scores + n * kKeys, values, head_dim, after, &one, sums + n * stride, stride);
  }
}

/// Which keys of the block that begins with `first` each row of a tile sees ({0, 0}: none), and which any of them sees.
template <int kRows>
inline Range visible_keys(const AttentionTask& task, const int32_t* positions, int64_t first, Range (&keys)[kRows]) {
  // What is visible moves with the position: a block that the first and the last row see whole is seen whole by all.
  const Range low = visible(task, positions[0]), high = visible(task, positions[kRows - 1]);
  if (high.begin <= first && low.end >= first + kKeys) {
    for (int n = 0; n < kRows; ++n) keys[n] = {0, kKeys};
    return {0, kKeys};
  }
  Range any{kKeys, 0};
  for (int n = 0; n < kRows; ++n) {
    const Range all = visible(task, positions[n]);
    keys[n] = {clamp(all.begin - first, 0, kKeys), clamp(all.end - first, 0, kKeys)};
    if (keys[n].begin >= keys[n].end) {
      keys[n] = {0, 0};
      continue;
    }
    if (keys[n].begin < any.begin) any.begin = keys[n].begin;
    if (keys[n].end > any.end) any.end = keys[n].end;
  }
  return any;
}

/// One block of keys and values for the rows [row, row + kRows) of a task.
template <int kRows, typename T>
inline void block_tile(const AttentionTask& task, const AttentionState& state, int64_t row, int64_t first, char* block) {
  const AttentionShape& shape = *task.shape;
  const KvPart<T> key_part(block, shape.head_dim), value_part(block + shape.part_bytes, shape.head_dim);
  const int32_t* positions = state.positions + row;
  Range keys[kRows];
  const Range any = visible_keys<kRows>(task, positions, first, keys);
  if (any.begin >= any.end) return;
  score_tile<kRows>(state.queries + row * state.padded_dim, state.padded_dim, key_part.numbers, shape.head_dim, any, state.scores);
  float* largest = state.largest + row;
  float* total = state.total + row;
  float change[16] = {}, weights[16], factor[16];
  for (int n = 0; n < kRows; ++n) {
    if (keys[n].end == 0) continue;
    const float* bias = nullptr;
    if (shape.bias != nullptr) {
      const int64_t head = task.kv_head * shape.group + (row + n) % shape.group;
      bias = block_bias(shape, head, positions[n], first, state.bias);
    }
    const RowUpdate update = softmax_row(shape, state.scores + n * kKeys, keys[n], bias, key_part.scales, value_part.scales, largest[n]);
    change[n] = largest[n] - update.largest;
    largest[n] = update.largest;
    weights[n] = update.weights;
  }
  store_f32(factor, exp_negative(load_f32(change)));
  for (int n = 0; n < kRows; ++n) {
    if (keys[n].end != 0) total[n] = total[n] * factor[n] + weights[n];
  }
  add_values<kRows>(state, keys, value_part.numbers, shape.head_dim, factor, state.sums + row * state.padded_dim);
}

template <int kRows>
struct RowCount {
  static constexpr int value = kRows;
};
/// body(RowCount<rows>), rows from 1 to kTileRows.
template <int kRows = 1, typename Body>
inline void with_rows(int64_t rows, const Body& body) {
  if (rows == kRows) {
    body(RowCount<kRows>{});
  } else if constexpr (kRows < kTileRows) {
    with_rows<kRows + 1>(rows, body);
  }
}

/// Copies the queries to where they are dense; sums to zero.
inline void begin_rows(const AttentionTask& task, const AttentionState& state) {
  const int64_t group = task.shape->group, D = task.shape->head_dim, stride = state.padded_dim;
  int64_t row = 0;
  for (int64_t t = 0; t < task.num_queries; ++t) {
    for (int64_t h = 0; h < group; ++h, ++row) {
      const float* q = task.q + t * task.q_stride + h * D;
      for (int64_t d = 0; d < D; d += 16) {
        store_f32(state.queries + row * stride + d, D - d < 16 ? load_first(q + d, D - d) : load_f32(q + d));
        store_f32(state.sums + row * stride + d, zero_f32());
      }
      state.largest[row] = -__builtin_inff();
      state.total[row] = 0;
      state.positions[row] = static_cast<int32_t>(task.position + t);
    }
  }
}

inline void finish_rows(const AttentionTask& task, const AttentionState& state) {
  const int64_t group = task.shape->group, D = task.shape->head_dim;
  int64_t row = 0;
  for (int64_t t = 0; t < task.num_queries; ++t) {
    for (int64_t h = 0; h < group; ++h, ++row) {
      float* out = task.out + t * task.out_stride + h * D;
      const float* sums = state.sums + row * state.padded_dim;
      const F32x16 total = set_f32(state.total[row]);
      for (int64_t d = 0; d < D; d += 16) store_first(out + d, load_f32(sums + d) / total, D - d);
    }
  }
}

template <typename T>
inline void attention(const AttentionTask& task) {
  const AttentionShape& shape = *task.shape;
  const AttentionState state(task);
  const int64_t rows = task.num_queries * shape.group;
  begin_rows(task, state);
  const int64_t begin = visible(task, task.position).begin / kKeys;
  const int64_t end = (visible(task, task.position + task.num_queries - 1).end + kKeys - 1) / kKeys;
  for (int64_t b = begin; b < end; ++b) {
    const int64_t index = task.blocks[b] * shape.kv_heads + task.kv_head;
    char* block = static_cast<char*>(shape.kv) + index * 2 * shape.part_bytes;
    for (int64_t row = 0; row < rows; row += kTileRows) {
      with_rows(rows - row < kTileRows ? rows - row : kTileRows,
                [&](auto count) { block_tile<decltype(count)::value, T>(task, state, row, b * kKeys, block); });
    }
  }
  finish_rows(task, state);
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
