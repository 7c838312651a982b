// Attention over blocks of 64 keys with an online softmax (Milakov and Gimelshein 2018; contract/attention.h). A row is one
// query of one head; the rows of all heads that share a key and value head go together, in tiles that read every key and
// value once for all their rows. What is done for a row never depends on the rows beside it.
#pragma once

#include "backend/cpu/kernels/kv-inl.h"
#include "backend/cpu/kernels/math-inl.h"
#include "backend/cpu/kernels/unrolled-inl.h"
#include "backend/cpu/op_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

inline constexpr int kTileRows = kFloatRows;
/// Vectors of outputs beside `rows` rows, so that all sums stay in registers.
constexpr int tile_vectors(int rows) {
  const int room = kFloatRows * kFloatVectors / rows;
  return room >= 4 ? 4 : (room >= 2 ? 2 : 1);
}

/// Whether keys and values of a type lie in pairs, and whether rows are rounded to pairs of bf16 to meet them.
template <typename T>
inline constexpr bool kPaired = sizeof(T) == 2;
template <typename T>
inline constexpr bool kRounded = kPaired<T> && kHasBf16Dot;

/// exp(x) for x ≤ 0, relative error 3e-7 (2e-7 above -10), 1e-4 where the result will be rounded to bf16. 0 below -87.34, where fp32
/// has no normal numbers (denormals are flushed in every thread). NaN stays NaN: max() gives its second operand then.
template <bool kForBf16 = false>
inline F32x16 exp_negative(F32x16 x) {
  x = max(set_f32(-87.6f), x);  // the lowest n is then -126
  // Adding 1.5 · 2^23 rounds to an integer, which also stands in the low bits of the sum.
  const F32x16 big = set_f32(12582912.0f);
  const F32x16 shifted = fma(x, set_f32(1.44269504f), big);
  const F32x16 r = fnma(shifted - big, set_f32(0.693147181f), x);
  F32x16 p;
  if constexpr (kForBf16) {
    p = polynomial(r, 1.676701158e-1f, 5.050222874e-1f, 9.999849200e-1f, 9.999245405e-1f);
  } else {
    // as exp() of math-inl.h
    p = polynomial(r, 1.989927841e-4f, 1.393364510e-3f, 8.333298378e-3f, 4.166646674e-2f, 1.666666716e-1f, 0.5f, 1.0f, 1.0f);
  }
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

/// What rows have summed over some keys.
struct RowSums {
  float* sums;     // [rows, padded D]
  float* largest;  // [rows]
  float* total;    // [rows]
};

/// Where the parts of the scratch memory are.
struct AttentionState : RowSums {
  explicit AttentionState(const AttentionTask& task) : padded_dim(attention_padded_dim(task.shape->head_dim)) {
    const int64_t rows = attention_padded_rows(task.shape->group);
    queries = task.scratch;
    scores = queries + rows * padded_dim;
    bias = scores + 16 * kKeys;
    all.sums = bias + kKeys;
    span.sums = all.sums + rows * padded_dim;
    all.largest = span.sums + rows * padded_dim;
    all.total = all.largest + rows;
    span.largest = all.total + rows;
    span.total = span.largest + rows;
    positions = reinterpret_cast<int32_t*>(span.total + rows);
    use(all);
  }
  /// From here on rows sum into `part`.
  void use(const RowSums& part) { static_cast<RowSums&>(*this) = part; }

  RowSums all, span;  // of the spans so far, and of one more
  int64_t padded_dim;
  float* queries;      // [rows, padded D]
  float* scores;       // [tile rows, 64]
  float* bias;         // [64]
  int32_t* positions;  // [rows]
};

/// sums[n][v] += number i of row n times values[v].
template <int kRows, int kVectors>
inline void add_products(F32x16 (&sums)[kRows][kVectors], const float* rows, int64_t stride, int64_t i, const F32x16 (&values)[kVectors]) {
  for (int n = 0; n < kRows; ++n) {
    const F32x16 x = set_f32(rows[n * stride + i]);
    for (int v = 0; v < kVectors; ++v) sums[n][v] = fma(x, values[v], sums[n][v]);
  }
}

/// The same for pair i of the rows and pairs of values, the second of each pair first. Rows hold fp32 or pairs of bf16.
template <bool kRoundedRows, int kRows, int kVectors>
inline void add_pair_products(F32x16 (&sums)[kRows][kVectors], const float* rows, int64_t stride, int64_t i,
                              const I32x16 (&pairs)[kVectors]) {
  if constexpr (kRoundedRows) {
    for (int n = 0; n < kRows; ++n) {
      const I32x16 x = load_quad(reinterpret_cast<const int8_t*>(rows + n * stride + i));
      for (int v = 0; v < kVectors; ++v) sums[n][v] = dot_bf16(sums[n][v], pairs[v], x);
    }
  } else {
    F32x16 values[kVectors];
    for (int v = 0; v < kVectors; ++v) values[v] = second_of(pairs[v]);
    add_products(sums, rows, stride, 2 * i + 1, values);
    for (int v = 0; v < kVectors; ++v) values[v] = first_of(pairs[v]);
    add_products(sums, rows, stride, 2 * i, values);
  }
}

/// scores [kRows, 64] = q · k (codes where there are scales) for the vectors of 16 keys that `keys` touches. q [kRows, stride],
/// k as KvLayer has them.
template <int kRows, typename T>
inline void score_tile(const float* q, int64_t stride, const T* k, int64_t head_dim, Range keys, float* scores) {
  constexpr int kVectors = tile_vectors(kRows);
  constexpr int64_t kStep = kVectors * 16;
  for (int64_t j = keys.begin / kStep * kStep; j < keys.end; j += kStep) {
    F32x16 sums[kRows][kVectors];
    for (int n = 0; n < kRows; ++n) {
      for (int v = 0; v < kVectors; ++v) sums[n][v] = zero_f32();
    }
    if constexpr (kPaired<T>) {
      const auto* pairs_of_keys = reinterpret_cast<const int32_t*>(k);
      for (int64_t i = 0; i < (head_dim + 1) / 2; ++i) {
        I32x16 pairs[kVectors];
        for (int v = 0; v < kVectors; ++v) pairs[v] = load_i32(pairs_of_keys + i * kKeys + j + 16 * v);
        add_pair_products<kRounded<T>>(sums, q, stride, i, pairs);
      }
    } else {
      for (int64_t d = 0; d < head_dim; ++d) {
        F32x16 key[kVectors];
        for (int v = 0; v < kVectors; ++v) key[v] = load_kv(k + d * kKeys + j + 16 * v);
        add_products(sums, q, stride, d, key);
      }
    }
    for (int n = 0; n < kRows; ++n) {
      for (int v = 0; v < kVectors; ++v) store_f32(scores + n * kKeys + j + 16 * v, sums[n][v]);
    }
  }
}

/// The sums of value_columns() over the pairs that `keys` touches; of a pair at an end the key outside is left out, whatever its value.
template <bool kRoundedRows, bool kPartial, int kRows, int kVectors>
inline void add_value_pairs(F32x16 (&sums)[kRows][kVectors], const float* e, const int32_t* values, int64_t head_dim, Range keys,
                            int64_t lanes) {
  const auto add = [&](int64_t i, auto select) {
    I32x16 pairs[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      const int32_t* p = values + i * head_dim + 16 * v;
      if constexpr (kPartial) {
        pairs[v] = select(load_pairs_first(p, lanes));
      } else {
        pairs[v] = select(load_i32(p));
      }
    }
    add_pair_products<kRoundedRows>(sums, e, kKeys, i, pairs);
  };
  int64_t i = keys.begin / 2;
  if (keys.begin % 2 == 1) add(i++, [](I32x16 pairs) { return keep_second(pairs); });
  for (; i < keys.end / 2; ++i) add(i, [](I32x16 pairs) { return pairs; });
  if (keys.end % 2 == 1) add(i, [](I32x16 pairs) { return keep_first(pairs); });
}

/// sums [kRows, 16 kVectors] = sums · factor, then += e_j · v_j for the keys, ascending. e [kRows, 64], v as KvLayer has them, from the
/// first of these dimensions on. Where kPartial, only the first `lanes` lanes exist.
template <int kRows, int kVectors, bool kPartial, typename T>
inline void value_columns(const float* e, const T* values, int64_t head_dim, Range keys, const float* factor, float* sums_at,
                          int64_t padded_dim, int64_t lanes) {
  F32x16 sums[kRows][kVectors];
  for (int n = 0; n < kRows; ++n) {
    for (int v = 0; v < kVectors; ++v) sums[n][v] = load_f32(sums_at + n * padded_dim + 16 * v) * set_f32(factor[n]);
  }
  if constexpr (kPaired<T>) {
    add_value_pairs<kRounded<T>, kPartial>(sums, e, reinterpret_cast<const int32_t*>(values), head_dim, keys, lanes);
  } else {
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
      add_products(sums, e, kKeys, j, value);
    }
  }
  for (int n = 0; n < kRows; ++n) {
    for (int v = 0; v < kVectors; ++v) store_f32(sums_at + n * padded_dim + 16 * v, sums[n][v]);
  }
}

/// value_columns() over all D.
template <int kRows, typename T>
inline void value_tile(const float* e, const T* values, int64_t head_dim, Range keys, const float* factor, float* sums,
                       int64_t padded_dim) {
  constexpr int kVectors = tile_vectors(kRows), kWide = kPaired<T> ? 2 : 1;  // numbers a dimension
  int64_t d = 0;
  for (; d + 16 * kVectors <= head_dim; d += 16 * kVectors) {
    value_columns<kRows, kVectors, false>(e, values + kWide * d, head_dim, keys, factor, sums + d, padded_dim, 16);
  }
  if constexpr (kVectors == 4) {
    if (d + 32 <= head_dim) {
      value_columns<kRows, 2, false>(e, values + kWide * d, head_dim, keys, factor, sums + d, padded_dim, 16);
      d += 32;
    }
  }
  for (; d + 16 <= head_dim; d += 16) {
    value_columns<kRows, 1, false>(e, values + kWide * d, head_dim, keys, factor, sums + d, padded_dim, 16);
  }
  if (d < head_dim) {
    value_columns<kRows, 1, true>(e, values + kWide * d, head_dim, keys, factor, sums + d, padded_dim, head_dim - d);
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

/// Numbers [i, i + 16) of a row, fp32 or bf16.
template <bool kRoundedRow>
inline void store_row(float* row, int64_t i, F32x16 x) {
  if constexpr (kRoundedRow) {
    store_bf16(reinterpret_cast<uint16_t*>(row) + i, x);
  } else {
    store_f32(row + i, x);
  }
}

/// What a tile of rows knows of one block of keys and values.
struct Block {
  int64_t first;              // position of its first key
  const float* key_scales;    // [64], or null
  const float* value_scales;  // the same
};

/// Whether scores are nothing but products times shape.scale: the factor may wait for weigh_scores() then.
inline bool is_plain(const AttentionShape& shape, const Block& block) {
  return shape.softcap <= 0 && shape.bias == nullptr && block.key_scales == nullptr;
}

/// The products of one row to scores, but for the scale where they are plain; -infinity where nothing is visible. Tells the largest
/// in each of 16 lanes.
inline F32x16 adjust_scores(const AttentionShape& shape, float* scores, Range keys, const float* bias, const Block& block) {
  F32x16 s[4];
  for (int v = 0; v < 4; ++v) s[v] = load_f32(scores + 16 * v);
  const bool partial = keys.begin > 0 || keys.end < kKeys, plain = is_plain(shape, block);
  if (!plain) {
    for (int v = 0; v < 4; ++v) {
      if (block.key_scales != nullptr) s[v] = s[v] * load_f32(block.key_scales + 16 * v);
      s[v] = s[v] * set_f32(shape.scale);
      if (shape.softcap > 0) s[v] = set_f32(shape.softcap) * tanh(s[v] / set_f32(shape.softcap));
      if (bias != nullptr) s[v] = s[v] + load_f32(bias + 16 * v);
    }
  }
  if (partial) {
    const F32x16 nothing = set_f32(-__builtin_inff());
    for (int v = 0; v < 4; ++v) {
      s[v] = select(first_lanes(clamp(keys.end - 16 * v, 0, 16)), s[v], nothing);
      s[v] = select(first_lanes(clamp(keys.begin - 16 * v, 0, 16)), nothing, s[v]);
    }
  }
  if (partial || !plain) {
    for (int v = 0; v < 4; ++v) store_f32(scores + 16 * v, s[v]);
  }
  return max(max(s[0], s[1]), max(s[2], s[3]));
}

/// Adjusted scores of one row to weights exp(s · scale - m), times the values' scales, as values of type T want them; gives their sum
/// without scales in each of 16 lanes.
template <typename T>
inline F32x16 weigh_scores(float* scores, float scale, float largest, const float* value_scales) {
  F32x16 s[4];
  for (int v = 0; v < 4; ++v) {
    // Rounded like the largest before that is subtracted: the largest itself must give 0, however large it is.
    s[v] = exp_negative<kRounded<T>>(load_f32(scores + 16 * v) * set_f32(scale) - set_f32(largest));
  }
  for (int v = 0; v < 4; ++v) {
    store_row<kRounded<T>>(scores, 16 * v, value_scales == nullptr ? s[v] : s[v] * load_f32(value_scales + 16 * v));
  }
  return ((s[0] + s[1]) + s[2]) + s[3];
}

/// scores [kRows, 64] of a tile of rows to weights, their maxima and totals brought up to date; `factor` [16]: what sums so far are
/// multiplied by. All rows go through each step before the next, because lanes take long to be combined.
template <int kRows, typename T>
inline void softmax_tile(const AttentionTask& task, const AttentionState& state, int64_t row, const Block& block, const Range* keys,
                         float* scores, float* factor) {
  const AttentionShape& shape = *task.shape;
  float* largest = state.largest + row;
  float* total = state.total + row;
  F32x16 lanes[kTileRows] = {};
  for (int n = 0; n < kRows; ++n) {
    lanes[n] = set_f32(-__builtin_inff());
    if (keys[n].end == 0) continue;
    const float* bias = nullptr;
    if (shape.bias != nullptr) {
      const int64_t head = task.kv_head * shape.group + (row + n) % shape.group;
      bias = block_bias(shape, head, state.positions[row + n], block.first, state.bias);
    }
    lanes[n] = adjust_scores(shape, scores + n * kKeys, keys[n], bias, block);
  }
  const float scale = is_plain(shape, block) ? shape.scale : 1.0f;
  const F32x16 before = load_f32(largest), highest = max_each<kRows>(lanes) * set_f32(scale);
  const Mask16 higher = less(before, highest);
  const F32x16 now = select(higher, highest, before);
  store_first(largest, now, kRows);
  const F32x16 change = exp_negative(select(higher, before - now, zero_f32()));
  store_f32(factor, change);
  for (int n = 0; n < kRows; ++n) {
    lanes[n] = keys[n].end == 0 ? zero_f32() : weigh_scores<T>(scores + n * kKeys, scale, largest[n], block.value_scales);
  }
  store_first(total, load_f32(total) * change + sum_each<kRows>(lanes), kRows);
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
  if constexpr (kPaired<T>) common = {(common.begin + 1) / 2 * 2, common.end / 2 * 2};
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
inline Range visible_keys(const AttentionTask& task, const int32_t* positions, int64_t rows, int64_t first, Range* keys) {
  // What is visible moves with the position: a block that the first and the last row see whole is seen whole by all.
  const Range low = visible(task, positions[0]), high = visible(task, positions[rows - 1]);
  if (high.begin <= first && low.end >= first + kKeys) {
    for (int n = 0; n < rows; ++n) keys[n] = {0, kKeys};
    return {0, kKeys};
  }
  Range any{kKeys, 0};
  for (int n = 0; n < rows; ++n) {
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
  const Range any = visible_keys(task, positions, kRows, first, keys);
  if (any.begin >= any.end) return;
  score_tile<kRows>(state.queries + row * state.padded_dim, state.padded_dim, key_part.numbers, shape.head_dim, any, state.scores);
  float factor[16];
  softmax_tile<kRows, T>(task, state, row, {first, key_part.scales, value_part.scales}, keys, state.scores, factor);
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

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME

#if defined(__AMX_INT8__)
#include "backend/cpu/kernels/attention_amx-inl.h"
#endif

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

inline void clear_rows(const RowSums& part, int64_t rows, int64_t padded_dim) {
  for (int64_t i = 0; i < rows * padded_dim; i += 16) store_f32(part.sums + i, zero_f32());
  for (int64_t row = 0; row < rows; ++row) {
    part.largest[row] = -__FLT_MAX__;  // not -infinity: a block may have no other scores, and e^(-infinity + infinity) is no weight
    part.total[row] = 0;
  }
}

/// Copies the queries to where they are dense.
template <typename T>
inline void begin_rows(const AttentionTask& task, const AttentionState& state) {
  const int64_t group = task.shape->group, D = task.shape->head_dim, stride = state.padded_dim;
  int64_t row = 0;
  for (int64_t t = 0; t < task.num_queries; ++t) {
    for (int64_t h = 0; h < group; ++h, ++row) {
      const float* q = task.q + t * task.q_stride + h * D;
      for (int64_t d = 0; d < D; d += 16) {
        store_row<kRounded<T>>(state.queries + row * stride, d, D - d < 16 ? load_first(q + d, D - d) : load_f32(q + d));
      }
      state.positions[row] = static_cast<int32_t>(task.position + t);
    }
  }
}

/// to[row] = to[row] joined with from[row], whose keys come after.
inline void join_row(const RowSums& to, const RowSums& from, int64_t row, int64_t padded_dim) {
  if (from.total[row] == 0) return;  // no key was visible; NaN passes
  const bool first = to.total[row] == 0;
  const F32x16 before = set_f32(to.largest[row]), next = set_f32(from.largest[row]), now = max(before, next);
  const F32x16 keep = first ? zero_f32() : exp_negative(before - now), add = exp_negative(next - now);
  const auto joined = [&](const float* old, const float* more) {
    return first ? load_f32(more) : fma(load_f32(more), add, load_f32(old) * keep);
  };
  for (int64_t d = 0; d < padded_dim; d += 16) {
    store_f32(to.sums + row * padded_dim + d, joined(to.sums + row * padded_dim + d, from.sums + row * padded_dim + d));
  }
  store_first(to.total + row, first ? set_f32(from.total[row]) : fma(set_f32(from.total[row]), add, set_f32(to.total[row]) * keep), 1);
  store_first(to.largest + row, now, 1);
}

inline void finish_rows(const AttentionTask& task, const RowSums& all, int64_t padded_dim) {
  const int64_t group = task.shape->group, D = task.shape->head_dim;
  int64_t row = 0;
  for (int64_t t = 0; t < task.num_queries; ++t) {
    for (int64_t h = 0; h < group; ++h, ++row) {
      float* out = task.out + t * task.out_stride + h * D;
      const float* sums = all.sums + row * padded_dim;
      const F32x16 total = set_f32(all.total[row]);
      for (int64_t d = 0; d < D; d += 16) store_first(out + d, load_f32(sums + d) / total, D - d);
    }
  }
}

inline void store_partial(const RowSums& part, int64_t rows, int64_t padded_dim, float* out) {
  for (int64_t row = 0; row < rows; ++row, out += padded_dim + 16) {
    for (int64_t d = 0; d < padded_dim; d += 16) store_f32(out + d, load_f32(part.sums + row * padded_dim + d));
    out[padded_dim] = part.largest[row];
    out[padded_dim + 1] = part.total[row];
  }
}

inline void load_partial(const float* in, int64_t rows, int64_t padded_dim, const RowSums& part) {
  for (int64_t row = 0; row < rows; ++row, in += padded_dim + 16) {
    for (int64_t d = 0; d < padded_dim; d += 16) store_f32(part.sums + row * padded_dim + d, load_f32(in + d));
    part.largest[row] = in[padded_dim];
    part.total[row] = in[padded_dim + 1];
  }
}

/// Blocks [begin, end) of keys for all rows of a task.
template <typename T>
inline void walk_blocks(const AttentionTask& task, const AttentionState& state, int64_t begin, int64_t end) {
  const AttentionShape& shape = *task.shape;
  const int64_t rows = task.num_queries * shape.group;
  for (int64_t b = begin; b < end; ++b) {
    const int64_t index = task.blocks[b] * shape.kv_heads + task.kv_head;
    char* block = static_cast<char*>(shape.kv) + index * 2 * shape.part_bytes;
#if defined(__AMX_INT8__)
    if (by_amx<T>(shape)) {
      for (int64_t row = 0; row < rows; row += kAmxRows) {
        amx_block_tile(task, state, row, rows - row < kAmxRows ? rows - row : kAmxRows, b * kKeys, block);
      }
      continue;
    }
#endif
    for (int64_t row = 0; row < rows; row += kTileRows) {
      with_rows(rows - row < kTileRows ? rows - row : kTileRows,
                [&](auto count) { block_tile<decltype(count)::value, T>(task, state, row, b * kKeys, block); });
    }
  }
}

template <typename T>
inline void attention(const AttentionTask& task) {
  AttentionState state(task);
  const int64_t rows = task.num_queries * task.shape->group, padded_dim = state.padded_dim;
  begin_rows<T>(task, state);
  clear_rows(state.all, rows, padded_dim);
  int64_t begin = visible(task, task.position).begin / kKeys;
  int64_t end = (visible(task, task.position + task.num_queries - 1).end + kKeys - 1) / kKeys;
  if (task.span >= 0) {
    begin = clamp(begin, task.span * kSpanBlocks, (task.span + 1) * kSpanBlocks);
    end = clamp(end, begin, (task.span + 1) * kSpanBlocks);
  }
  for (int64_t b = begin; b < end;) {
    const int64_t boundary = (b / kSpanBlocks + 1) * kSpanBlocks, stop = boundary < end ? boundary : end;
    if (b > begin) {
      clear_rows(state.span, rows, padded_dim);
      state.use(state.span);
    }
    walk_blocks<T>(task, state, b, stop);
    for (int64_t row = 0; b > begin && row < rows; ++row) join_row(state.all, state.span, row, padded_dim);
    b = stop;
  }
  if (task.span >= 0) {
    store_partial(state.all, rows, padded_dim, task.partial);
  } else {
    finish_rows(task, state.all, padded_dim);
  }
}

inline void attention_join(const AttentionTask& task) {
  const AttentionState state(task);
  const int64_t rows = task.num_queries * task.shape->group, padded_dim = state.padded_dim;
  clear_rows(state.all, rows, padded_dim);
  for (int64_t s = 0; s < task.num_spans; ++s) {
    load_partial(task.partial + s * attention_partial(rows, task.shape->head_dim), rows, padded_dim, state.span);
    for (int64_t row = 0; row < rows; ++row) join_row(state.all, state.span, row, padded_dim);
  }
  finish_rows(task, state.all, padded_dim);
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
