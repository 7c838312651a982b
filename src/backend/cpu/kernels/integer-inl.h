// Products with int8 activations. Inside a scale group the sum is exact in int32; groups are added in fp32, ascending:
// acc = fma(float(sum), w_scale · x_scale, acc). Codes are unsigned, so a constant offset is taken off through Σ q_x, where the
// int32 accumulator starts; a variable one through the auxiliary values of the activations.
#pragma once

#include "backend/cpu/kernels/formats-inl.h"
#include "backend/cpu/kernels/tiles-inl.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// The largest code that a dot product sees.
template <typename F>
inline constexpr int kMostCode = F::kLookup != nullptr || F::kGroup == 0 ? 2 * F::kOffset - 1 : (1 << F::kBits) - 1;

/// Steps whose products fit 16 bits before they must be widened: two products of a code and ±127 a step. A power of two, at
/// most a block; 0 where the instruction set has a dot product that needs no such care, or codes are too large.
template <typename F>
inline constexpr int narrow_steps() {
  if (!kHasNarrowDot || F::kOffset == 128) return 0;
  int steps = 8;
  while (steps * 2 * 127 * kMostCode<F> > 32767) steps /= 2;
  return steps;
}

/// The exact integer sum of one group of weights: steps in any order, but for every number the same count of calls.
template <typename F>
struct GroupSum {
  static constexpr int kNarrow = narrow_steps<F>();
  /// Four inputs in memory, as the dot products of this format take them.
  static constexpr int64_t kQuadBytes = kNarrow == 0 ? kWideQuadBytes : 4;
  static auto load(const int8_t* quad) {
    if constexpr (kNarrow == 0) {
      return load_wide_quad(quad);
    } else {
      return load_quad(quad);
    }
  }
  using Quad = decltype(load(nullptr));
  I32x16 wide;
  I16x32 narrow;

  /// `from`: where the sum starts, for formats whose offset the dot products leave in.
  void start(const int32_t* from) {
    wide = zero_i32();
    narrow = zero_i16();
    if constexpr (kNarrow == 0 && F::kOffset != 0) wide = set_i32(*from);
  }
  /// The `count`-th call, from 0, of a group.
  void add(int count, U8x64 w, Quad x) {
    if constexpr (kNarrow == 0) {
      wide = dot(wide, w, x);
      pin(wide);
    } else if constexpr (kNarrow == 1) {
      wide = widen_add(wide, dot_narrow(zero_i16(), w, x));
      pin(wide);
    } else {
      narrow = dot_narrow(narrow, w, x);
      pin(narrow);
      if (count % kNarrow == kNarrow - 1) {
        wide = widen_add(wide, narrow);
        narrow = zero_i16();
      }
    }
  }
  I32x16 finish(const int32_t* from) {
    if constexpr (kNarrow == 0) return wide;
    if constexpr (kNarrow > 1 && F::kGroup / 4 % (kNarrow == 0 ? 1 : kNarrow) != 0) wide = widen_add(wide, narrow);
    return F::kOffset != 0 ? wide + set_i32(*from) : wide;
  }
};

/// How far ahead of what it multiplies a kernel that streams weights asks for them.
inline constexpr int64_t kPrefetchBytes = 4096;

/// A chunk of weights as the kernels read it.
struct CodePanel {
  const uint8_t* codes;  // [groups][steps][64], unpacked; tiles code_stride bytes apart
  int64_t code_stride;
  const float* scales;  // [groups][16]; tiles scale_stride floats apart
  const float* shifts;
  int64_t scale_stride;
};

/// A few rows of activations, from the first input of a chunk.
struct CodeRows {
  const int8_t* codes;
  int64_t code_stride;
  const float* scales;
  int64_t scale_stride;
  const int32_t* aux;
  int64_t aux_stride;
};

// Groups of 16 weights share the scale of 32 activations.
template <typename F>
inline constexpr int kGroupsPerScale = F::kGroup < 32 ? 32 / F::kGroup : 1;

/// acc + one group: fma(sum, w_scale · x_scale, acc), and what the format's shift asks for.
template <typename F>
inline F32x16 add_group(F32x16 acc, I32x16 sum, F32x16 w_scale, F32x16 shift, const CodeRows& a, int64_t r, int64_t g) {
  F32x16 value = to_f32(sum);
  F32x16 aux = zero_f32();
  if constexpr (F::kShift != Shift::kNone) aux = as_f32(set_i32(a.aux[r * a.aux_stride + g]));
  if constexpr (F::kShift == Shift::kZero) value = fnma(shift, aux, value);  // exact: integers below 2^24
  acc = fma(value, w_scale * set_f32(a.scales[r * a.scale_stride + g / kGroupsPerScale<F>]), acc);
  if constexpr (F::kShift == Shift::kMin) acc = fma(aux, shift, acc);
  return acc;
}

/// A chunk of unpacked weights by a few rows of activations.
template <typename F>
struct GroupTile {
  static constexpr int kSteps = F::kGroup / 4;
  static constexpr int kUnroll = kSteps < 8 ? kSteps : 8;

  template <int kRows, int kVectors>
  [[gnu::noinline]] static void run(const CodePanel& w, const CodeRows& a, int64_t groups, bool first, float* sums) {
    F32x16 acc[kRows][kVectors];
    load_sums(sums, first, acc);
    for (int64_t g = 0; g < groups; ++g) {
      GroupSum<F> sum[kRows][kVectors];
      for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < kVectors; ++v) sum[r][v].start(a.aux + r * a.aux_stride + g);
      }
      for (int64_t from = g * kSteps; from < (g + 1) * kSteps; from += kUnroll) {
        unrolled<0, kUnroll>([&](auto s) {
          U8x64 codes[kVectors];
          for (int v = 0; v < kVectors; ++v) codes[v] = load_u8(w.codes + v * w.code_stride + (from + s) * 64);
          for (int r = 0; r < kRows; ++r) {
            const auto input = GroupSum<F>::load(a.codes + r * a.code_stride + (from + s) * GroupSum<F>::kQuadBytes);
            for (int v = 0; v < kVectors; ++v) sum[r][v].add(s, codes[v], input);
          }
        });
      }
      for (int v = 0; v < kVectors; ++v) {
        const int64_t at = v * w.scale_stride + g * kTile;
        const F32x16 w_scale = load_f32(w.scales + at);
        const F32x16 shift = F::kShift == Shift::kNone ? zero_f32() : load_f32(w.shifts + at);
        for (int r = 0; r < kRows; ++r) {
          const I32x16 total = sum[r][v].finish(a.aux + r * a.aux_stride + g);
          acc[r][v] = add_group<F>(acc[r][v], total, w_scale, shift, a, r, g);
        }
      }
    }
    store_sums(sums, acc);
  }
};

/// Whole tiles by so few rows that unpacking codes to memory first would cost more than it saves: each vector of codes is
/// unpacked in registers and multiplied at once.
template <typename F>
struct GroupStream {
  static constexpr int kParts = F::kGroup < kBlock ? kBlock / F::kGroup : 1;   // groups in a block of codes
  static constexpr int kBlocks = F::kGroup < kBlock ? 1 : F::kGroup / kBlock;  // blocks of codes in a group
  static constexpr int kPartSteps = 8 / kParts;

  template <int kRows, int kVectors>
  [[gnu::noinline]] static void run(const TileMatrix& w, int64_t tile, const CodeRows& a, float* sums) {
    const uint8_t* base = w.data + tile * w.tile_bytes;
    F32x16 acc[kRows][kVectors];
    load_sums(sums, /*first=*/true, acc);
    for (int64_t block = 0; block < w.cols / kBlock; block += kBlocks) {
      for (int v = 0; v < kVectors; ++v) {
        F32x16 column[kRows];
        for (int r = 0; r < kRows; ++r) column[r] = acc[r][v];
        add_blocks(base + v * w.tile_bytes, w.codes_offset, block, a, column);
        for (int r = 0; r < kRows; ++r) acc[r][v] = column[r];
      }
    }
    store_sums(sums, acc);
  }

  template <int kRows>
  static inline void add_blocks(const uint8_t* tile, int64_t codes_offset, int64_t block, const CodeRows& a, F32x16 (&acc)[kRows]) {
    const int64_t group = block * kParts / kBlocks;
    GroupSum<F> sum[kRows][kParts];
    for (int r = 0; r < kRows; ++r) {
      for (int part = 0; part < kParts; ++part) sum[r][part].start(a.aux + r * a.aux_stride + group + part);
    }
    for (int64_t b = block; b < block + kBlocks; ++b) {
      const uint8_t* codes = tile + codes_offset + b * kBlockBytes<F>;
      prefetch_block(codes);
      const int8_t* x = a.codes + b * (kBlock / 4) * GroupSum<F>::kQuadBytes;
      visit_block<F>(codes, [&](auto n, auto s, U8x64 w) {
        constexpr int kPart = decltype(s)::value / kPartSteps;
        const int count = kParts == 1 ? int{n} : s % kPartSteps;
        for (int r = 0; r < kRows; ++r) sum[r][kPart].add(count, w, GroupSum<F>::load(x + r * a.code_stride + s * GroupSum<F>::kQuadBytes));
      });
    }
    for (int part = 0; part < kParts; ++part) {
      F32x16 scale, shift = zero_f32();
      scales_at<F>(tile, block * kBlock + part * F::kGroup, scale, shift);
      for (int r = 0; r < kRows; ++r) {
        const I32x16 total = sum[r][part].finish(a.aux + r * a.aux_stride + group + part);
        acc[r] = add_group<F>(acc[r], total, scale, shift, a, r, group + part);
      }
    }
  }

  static inline void prefetch_block(const uint8_t* codes) {
    for (int64_t i = 0; i < kBlockBytes<F>; i += 64) prefetch(codes + kPrefetchBytes + i);
  }
};

/// Scales, and codes where they are packed below 8 bits, of `vectors` tiles for the inputs [k, k + count).
template <typename F>
inline CodePanel make_panel(const LinearTask& t, const Scratch& scratch, int64_t tile, int64_t vectors, int64_t k, int64_t count) {
  constexpr int64_t kScaleStride = kCodeChunk / 16 * kTile;
  CodePanel panel{scratch.codes, kCodeChunk / 4 * 64, scratch.scales, scratch.shifts, kScaleStride};
  for (int64_t v = 0; v < vectors; ++v) {
    const uint8_t* base = t.w.data + (tile + v) * t.w.tile_bytes;
    for (int64_t g = 0; g < count / F::kGroup; ++g) {
      F32x16 scale, shift = zero_f32();
      scales_at<F>(base, k + g * F::kGroup, scale, shift);
      store_f32(scratch.scales + v * kScaleStride + g * kTile, scale);
      if constexpr (F::kShift != Shift::kNone) store_f32(scratch.shifts + v * kScaleStride + g * kTile, shift);
    }
  }
  const uint8_t* codes = t.w.data + tile * t.w.tile_bytes + t.w.codes_offset + k / kBlock * kBlockBytes<F>;
  if constexpr (F::kBits == 8 && F::kLookup == nullptr) {
    panel.codes = codes;
    panel.code_stride = t.w.tile_bytes;
  } else {
    for (int64_t v = 0; v < vectors; ++v) {
      for (int64_t b = 0; b < count / kBlock; ++b) {
        U8x64 steps[8];
        load_block<F>(codes + v * t.w.tile_bytes + b * kBlockBytes<F>, steps);
        uint8_t* to = scratch.codes + v * panel.code_stride + b * 512;
        for (int s = 0; s < 8; ++s) store_u8x64(to + s * 64, steps[s]);
      }
    }
  }
  return panel;
}

/// Rows from `row` on, from the quad, the scale and the auxiliary value of the given numbers.
template <typename F>
inline CodeRows code_rows(const Activations& a, int64_t row, int64_t quad, int64_t scale, int64_t aux) {
  return {a.codes + row * a.code_stride + quad * GroupSum<F>::kQuadBytes,
          a.code_stride,
          a.scales + row * a.scale_stride + scale,
          a.scale_stride,
          static_cast<const int32_t*>(a.aux) + row * a.aux_stride + aux,
          a.aux_stride};
}

/// Formats with scales per group of inputs.
template <typename F>
void run_groups(const LinearTask& t) {
  const Scratch scratch(t.scratch);
  for_panels<kGroupVectors>(t, [&](const Panel& p) {
    if (p.rows <= kGroupRows) {
      dispatch<GroupStream<F>, kGroupRows, kGroupVectors>(p.rows, p.vectors, t.w, p.tile, code_rows<F>(t.a, p.row, 0, 0, 0), scratch.sums);
      finish(t, scratch.sums, p.row, p.rows, p.tile, p.vectors);
      return;
    }
    for (int64_t k = 0; k < t.w.cols; k += kCodeChunk) {
      const int64_t count = t.w.cols - k < kCodeChunk ? t.w.cols - k : kCodeChunk;
      const CodePanel panel = make_panel<F>(t, scratch, p.tile, p.vectors, k, count);
      for_row_tiles(t, p, kGroupRows, /*last=*/k + count == t.w.cols, scratch.sums, [&](int64_t r, int64_t mr) {
        const CodeRows a = code_rows<F>(t.a, p.row + r, k / 4, k / (F::kGroup < 32 ? 32 : F::kGroup), k / F::kGroup);
        dispatch<GroupTile<F>, kGroupRows, kGroupVectors>(mr, p.vectors, panel, a, count / F::kGroup, k == 0,
                                                          scratch.sums + r * kSumStride);
      });
    }
  });
}

/// One scale an output and one a token: a single integer sum over all inputs.
template <typename F>
struct RowTile {
  template <int kRows, int kVectors>
  [[gnu::noinline]] static void run(const uint8_t* tile, int64_t tile_stride, int64_t steps, const CodeRows& a, float* sums) {
    static_assert(GroupSum<F>::kNarrow < 2);  // every step is the first of its kind
    GroupSum<F> sum[kRows][kVectors];
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) sum[r][v].start(a.aux + r * a.aux_stride);
    }
    const uint8_t* w = tile + F::kRecord;
    for (int64_t s = 0; s < steps; ++s) {
      U8x64 codes[kVectors];
      for (int v = 0; v < kVectors; ++v) codes[v] = load_u8(w + v * tile_stride + s * 64);
      for (int r = 0; r < kRows; ++r) {
        const auto input = GroupSum<F>::load(a.codes + r * a.code_stride + s * GroupSum<F>::kQuadBytes);
        for (int v = 0; v < kVectors; ++v) sum[r][v].add(0, codes[v], input);
      }
    }
    for (int v = 0; v < kVectors; ++v) {
      const F32x16 w_scale = load_f32(reinterpret_cast<const float*>(tile + v * tile_stride));
      for (int r = 0; r < kRows; ++r) {
        const F32x16 scale = w_scale * set_f32(a.scales[r * a.scale_stride]);
        store_f32(sums + r * kSumStride + v * kTile, to_f32(sum[r][v].finish(a.aux + r * a.aux_stride)) * scale);
      }
    }
  }
};

template <typename F>
void run_rows(const LinearTask& t) {
  const Scratch scratch(t.scratch);
  for_panels<kInt8Vectors>(t, [&](const Panel& p) {
    for_row_tiles(t, p, kInt8Rows, /*last=*/true, scratch.sums, [&](int64_t r, int64_t mr) {
      dispatch<RowTile<F>, kInt8Rows, kInt8Vectors>(mr, p.vectors, t.w.data + p.tile * t.w.tile_bytes, t.w.tile_bytes, (t.w.cols + 3) / 4,
                                                    code_rows<F>(t.a, p.row + r, 0, 0, 0), scratch.sums + r * kSumStride);
    });
  });
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
