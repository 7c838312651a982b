// Products with int8 activations. Inside a scale group the sum is exact in int32; groups are added in fp32, ascending:
// acc = fma(float(sum), w_scale · x_scale, acc). Codes are unsigned, so a constant offset is taken off through Σ q_x, where the
// int32 accumulator starts; a variable one through the auxiliary values of the activations.
#pragma once

#include "backend/cpu/kernels/formats-inl.h"
#include "backend/cpu/kernels/tiles-inl.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

static_assert(kInt8Vectors <= kFloatVectors && kGroupVectors + (kGroupVectors > 1 ? 1 : 0) <= kFloatVectors);  // kSumStride

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
  /// Codes above 127 all have the offset 128. Where dot products take signed bytes, that is one flipped bit, and the sum is
  /// complete without a start.
  static constexpr bool kCentered = kSignedDot && F::kOffset == 128;
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
    if constexpr (kNarrow == 0 && F::kOffset != 0 && !kCentered) wide = set_i32(*from);
  }
  /// The `count`-th call, from 0, of a group.
  void add(int count, U8x64 w, Quad x) {
    if constexpr (kCentered) w = w ^ set_u8(128);
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

/// Asks for weights before they are needed: from `from` on, in each of some tiles, so many bytes in every step of a kernel.
class Ahead {
 public:
  /// How far ahead of what it reads a kernel asks that streams one tile after the other; and where the core follows the stream by itself.
  static constexpr int64_t kBytes = 8192, kFollowedBytes = 1024;

  /// Of a step, in fixed point. A division: once a task, not once a tile.
  static int64_t step_bytes(int64_t bytes, int64_t steps) { return (bytes * kOne + steps - 1) / steps; }

  Ahead() = default;
  Ahead(const uint8_t* from, int64_t step_bytes) : from_(from), step_bytes_(step_bytes) {}
  template <int kVectors>
  void ask(int64_t step, int64_t tile_bytes) const {
    if (from_ == nullptr) return;
    const int64_t end = line((step + 1) * step_bytes_);
    for (int64_t i = line(step * step_bytes_); i < end; i += 64) {
      for (int v = 0; v < kVectors; ++v) prefetch_l2(from_ + v * tile_bytes + i);
    }
  }

  /// The line in which so many bytes, in fixed point, end.
  static int64_t line(int64_t bytes) { return static_cast<int64_t>(static_cast<uint64_t>(bytes) / kOne / 64 * 64); }

 private:
  static constexpr int64_t kOne = 256;  // one byte in fixed point
  const uint8_t* from_ = nullptr;
  int64_t step_bytes_ = 0;
};

/// Of the next panel's `bytes` at `from` in each tile, what the kernel asks for that works on row r of a panel, in tiles of `tile_rows`:
/// the first few share them, so that memory is not idle between. `step_bytes`: if one asked for all.
inline Ahead share_of_next(const Panel& p, int64_t r, int64_t tile_rows, const uint8_t* from, int64_t bytes, int64_t step_bytes) {
  if (p.rows <= tile_rows) return {from, step_bytes};
  const int64_t tiles = (p.rows + tile_rows - 1) / tile_rows, shares = tiles < 8 ? tiles : 8;
  const int64_t share = r * tiles / p.rows;
  if (share >= shares) return {};
  return {from + bytes * share / shares / 64 * 64, step_bytes / shares + 1};
}

/// A chunk of the tiles of a panel as the kernels read it.
struct CodeChunk {
  const uint8_t* codes;   // of each tile [groups][steps][64], unpacked
  int64_t code_stride;    // bytes from tile to tile
  const float* scales;    // of each tile [kScaleStride]: [groups][16]
  const float* shifts;    // the same
  const uint8_t* next;    // packed codes of the next panel
  int64_t packed_stride;  // bytes from tile to tile of these
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
  // The sums in fp32 are touched once a group: with long groups they may as well be in memory, and wider tiles win.
  static constexpr int kMostVectors = kGroupVectors > 1 && F::kGroup >= 64 ? kGroupVectors + 1 : kGroupVectors;

  template <int kRows, int kVectors>
  [[gnu::noinline]] static void run(const CodeChunk& w, const Ahead& ahead, const CodeRows& a, int64_t groups, bool first, float* sums) {
    F32x16 acc[kRows][kVectors];
    load_sums(sums, first, acc);
    for (int64_t g = 0; g < groups; ++g) {
      ahead.ask<kVectors>(g, w.packed_stride);
      GroupSum<F> sum[kRows][kVectors];
      for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < kVectors; ++v) sum[r][v].start(a.aux + r * a.aux_stride + g);
      }
      for (int64_t from = g * kSteps; from < (g + 1) * kSteps; from += kUnroll) {
        unrolled<0, kUnroll>([&](auto s) {
          U8x64 codes[kVectors];
          for (int v = 0; v < kVectors; ++v) codes[v] = load_u8(w.codes + v * w.code_stride + (from + s) * 64);
          for (int r = 0; r < kRows; ++r) {
            const auto x = GroupSum<F>::load(a.codes + r * a.code_stride + (from + s) * GroupSum<F>::kQuadBytes);
            for (int v = 0; v < kVectors; ++v) sum[r][v].add(s, codes[v], x);
          }
        });
      }
      for (int v = 0; v < kVectors; ++v) {
        const F32x16 w_scale = load_f32(w.scales + v * kScaleStride + g * kTile);
        const F32x16 shift = F::kShift == Shift::kNone ? zero_f32() : load_f32(w.shifts + v * kScaleStride + g * kTile);
        for (int r = 0; r < kRows; ++r) {
          acc[r][v] = add_group<F>(acc[r][v], sum[r][v].finish(a.aux + r * a.aux_stride + g), w_scale, shift, a, r, g);
        }
      }
    }
    store_sums(sums, acc);
  }
};

/// A whole tile by a few rows: each vector of codes is unpacked in registers and multiplied at once. Tiles lie one behind the
/// other in memory and are read in that order.
template <typename F>
struct GroupStream {
  static constexpr int kParts = F::kGroup < kBlock ? kBlock / F::kGroup : 1;   // groups in a block of codes
  static constexpr int kBlocks = F::kGroup < kBlock ? 1 : F::kGroup / kBlock;  // blocks of codes in a group
  static constexpr int kPartSteps = 8 / kParts;

  /// Rows whose sums stay in registers: two groups a block have two sums each, and sums in 16 bits are twice as many again.
  static constexpr int kMostRows = kParts == 2 && kHasNarrowDot ? (kStreamRows + 1) / 2 : kStreamRows;

  template <int kRows>
  [[gnu::noinline]] static void run(const uint8_t* tile, int64_t codes_offset, int64_t blocks, const Ahead& ahead, const CodeRows& a,
                                    float* sums) {
    F32x16 acc[kRows];
    for (int r = 0; r < kRows; ++r) acc[r] = zero_f32();
    for (int64_t block = 0; block < blocks; block += kBlocks) add_blocks(tile, codes_offset, block, ahead, a, acc);
    store_sums(sums, acc);
  }

  template <int kRows>
  static inline void add_blocks(const uint8_t* tile, int64_t codes_offset, int64_t block, const Ahead& ahead, const CodeRows& a,
                                F32x16 (&acc)[kRows]) {
    const int64_t group = block * kParts / kBlocks;
    GroupSum<F> sum[kRows][kParts];
    for (int r = 0; r < kRows; ++r) {
      for (int part = 0; part < kParts; ++part) sum[r][part].start(a.aux + r * a.aux_stride + group + part);
    }
    for (int64_t b = block; b < block + kBlocks; ++b) {
      ahead.ask<1>(b, 0);
      const int8_t* x = a.codes + b * (kBlock / 4) * GroupSum<F>::kQuadBytes;
      visit_block<F>(tile + codes_offset + b * kBlockBytes<F>, [&](auto n, auto s, U8x64 w) {
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
};

/// Whether codes need no unpacking.
template <typename F>
inline constexpr bool kAsTheyLie = F::kBits == 8 && F::kLookup == nullptr;

/// How far ahead a kernel asks that works on the tiles of a panel one after the other. Where the machine follows streams and a row or two
/// of codes as they lie leave it room to, it is shown one stream: the scales of a tile are read before its codes, a byte a line.
template <typename F>
inline int64_t stream_ahead(const LinearTask& t, const Panel& p, const uint8_t* tile) {
  if (!kAsTheyLie<F> || !t.follows_streams || p.rows > 2) return Ahead::kBytes;
  for (int64_t i = 0; i < t.w.codes_offset; i += 64) static_cast<void>(*const_cast<const volatile uint8_t*>(tile + i));
  return Ahead::kFollowedBytes;
}

/// Scales, and codes where they are packed, of a panel's tiles for the inputs [k, k + count). Where kSigned, all codes, without offset.
template <typename F, bool kSigned = false>
inline CodeChunk unpack_chunk(const LinearTask& t, const Scratch& scratch, const Panel& p, int64_t k, int64_t count) {
  const uint8_t* panel = t.w.data + p.tile * t.w.tile_bytes;
  const int64_t offset = t.w.codes_offset + k / kBlock * kBlockBytes<F>;
  for (int64_t v = 0; v < p.vectors; ++v) {
    const uint8_t* tile = panel + v * t.w.tile_bytes;
    for (int64_t g = 0; g < count / F::kGroup; ++g) {
      F32x16 scale, shift = zero_f32();
      scales_at<F>(tile, k + g * F::kGroup, scale, shift);
      store_f32(scratch.scales + v * kScaleStride + g * kTile, scale);
      if constexpr (F::kShift != Shift::kNone) store_f32(scratch.shifts + v * kScaleStride + g * kTile, shift);
    }
    if constexpr (!kAsTheyLie<F> || kSigned) {
      uint8_t* to = scratch.codes + v * kCodeChunk * kTile;
      for (int64_t b = 0; b < count / kBlock; ++b) {
        U8x64 steps[8];
        load_block<F>(tile + offset + b * kBlockBytes<F>, steps);
        for (int s = 0; s < 8; ++s) {
          if constexpr (kSigned) steps[s] = steps[s] - set_u8(F::kOffset);
          store_u8x64(to + b * 512 + s * 64, steps[s]);
        }
      }
    }
  }
  CodeChunk chunk{scratch.codes, kCodeChunk * kTile, scratch.scales, scratch.shifts, panel + p.vectors * t.w.tile_bytes + offset,
                  t.w.tile_bytes};
  if constexpr (kAsTheyLie<F> && !kSigned) {
    chunk.codes = panel + offset;
    chunk.code_stride = t.w.tile_bytes;
  }
  return chunk;
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

/// A tile by some rows, unpacked for each few of them.
template <typename F>
inline void stream_rows(const LinearTask& t, const Panel& p, int64_t step_bytes, float* sums) {
  constexpr int kRows = GroupStream<F>::kMostRows;
  const uint8_t* tile = t.w.data + p.tile * t.w.tile_bytes;
  const int64_t blocks = t.w.cols / kBlock;
  const uint8_t* next = tile + stream_ahead<F>(t, p, tile);
  for_streamed_row_tiles(t, p, kRows, sums, [&](int64_t r, int64_t mr) {
    dispatch_rows<GroupStream<F>, kRows>(mr, tile, t.w.codes_offset, blocks, share_of_next(p, r, kRows, next, t.w.tile_bytes, step_bytes),
                                         code_rows<F>(t.a, p.row + r, 0, 0, 0), sums);
  });
}

/// Calls body(k, count) for chunks of at most kCodeChunk inputs, of about one length: little would often be left for the last one, and a
/// panel is walked anew for each.
template <typename F, typename Body>
inline void for_code_chunks(int64_t cols, const Body& body) {
  constexpr int64_t kGrain = F::kGroup < kBlock ? kBlock : F::kGroup;
  const int64_t chunks = (cols + kCodeChunk - 1) / kCodeChunk, most = (cols + chunks * kGrain - 1) / (chunks * kGrain) * kGrain;
  for (int64_t k = 0; k < cols; k += most) body(k, cols - k < most ? cols - k : most);
}

/// Asks for the scales of the next panel, all at once: they are read before its codes, which each tile of rows asks for a share of.
inline void prefetch_next_scales(const LinearTask& t, const Panel& p) {
  const uint8_t* next = t.w.data + (p.tile + p.vectors) * t.w.tile_bytes;
  for (int64_t v = 0; v < p.vectors; ++v) {
    for (int64_t i = 0; i < t.w.codes_offset; i += 64) prefetch_l2(next + v * t.w.tile_bytes + i);
  }
}

/// A panel by some rows, unpacked to memory once for all of them.
template <typename F>
inline void unpacked_rows(const LinearTask& t, const Panel& p, const Scratch& scratch) {
  prefetch_next_scales(t, p);
  for_code_chunks<F>(t.w.cols, [&](int64_t k, int64_t count) {
    const CodeChunk chunk = unpack_chunk<F>(t, scratch, p, k, count);
    const int64_t packed = count / kBlock * kBlockBytes<F>, groups = count / F::kGroup;
    const int64_t step_bytes = Ahead::step_bytes(packed, groups);
    for_finished_row_tiles(t, p, kGroupRows, /*last=*/k + count == t.w.cols, scratch.sums, [&](int64_t r, int64_t mr) {
      const CodeRows a = code_rows<F>(t.a, p.row + r, k / 4, k / (F::kGroup < 32 ? 32 : F::kGroup), k / F::kGroup);
      dispatch<GroupTile<F>, kGroupRows, GroupTile<F>::kMostVectors>(mr, p.vectors, chunk,
                                                                     share_of_next(p, r, kGroupRows, chunk.next, packed, step_bytes), a,
                                                                     groups, k == 0, scratch.sums + r * kSumStride);
    });
  });
}

/// Formats with scales per group of inputs.
template <typename F>
void run_groups(const LinearTask& t) {
  // A tile of fewer streamed rows stops paying as many rows earlier.
  constexpr int64_t kFromRows = kAsTheyLie<F> ? kStreamRows + 1 : kUnpackRows - kStreamRows + GroupStream<F>::kMostRows;
  const Scratch scratch(t.scratch);
  if (t.row_end - t.row_begin >= kFromRows) {
    for_panels<GroupTile<F>::kMostVectors>(t, [&](const Panel& p) { unpacked_rows<F>(t, p, scratch); });
  } else {
    const int64_t step_bytes = Ahead::step_bytes(t.w.tile_bytes, t.w.cols / kBlock);
    for_panels<1>(t, [&](const Panel& p) { stream_rows<F>(t, p, step_bytes, scratch.sums); });
  }
}

/// One scale an output and one a token: a single integer sum over all inputs. Whole tiles, read in the order in which they lie.
template <typename F>
struct RowTile {
  static constexpr int64_t kAskSteps = 4;  // weights are asked for once in so many steps

  template <int kRows, int kVectors>
  [[gnu::noinline]] static void run(const uint8_t* tile, int64_t tile_bytes, int64_t steps, const Ahead& ahead, const CodeRows& a,
                                    float* sums) {
    static_assert(GroupSum<F>::kNarrow < 2);  // every step is the first of its kind
    GroupSum<F> sum[kRows][kVectors];
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) sum[r][v].start(a.aux + r * a.aux_stride);
    }
    const uint8_t* w = tile + F::kRecord;
    for (int64_t s = 0; s < steps; ++s) {
      if (s % kAskSteps == 0) ahead.ask<kVectors>(s / kAskSteps, tile_bytes);
      U8x64 codes[kVectors];
      for (int v = 0; v < kVectors; ++v) codes[v] = load_u8(w + v * tile_bytes + s * 64);
      for (int r = 0; r < kRows; ++r) {
        const auto x = GroupSum<F>::load(a.codes + r * a.code_stride + s * GroupSum<F>::kQuadBytes);
        for (int v = 0; v < kVectors; ++v) sum[r][v].add(0, codes[v], x);
      }
    }
    for (int v = 0; v < kVectors; ++v) {
      const F32x16 w_scale = load_f32(reinterpret_cast<const float*>(tile + v * tile_bytes));
      for (int r = 0; r < kRows; ++r) {
        const F32x16 scale = w_scale * set_f32(a.scales[r * a.scale_stride]);
        store_f32(sums + r * kSumStride + v * kTile, to_f32(sum[r][v].finish(a.aux + r * a.aux_stride)) * scale);
      }
    }
  }
};

/// In panels of `kVectors` tiles.
template <typename F, int kVectors>
inline void row_panels(const LinearTask& t) {
  const Scratch scratch(t.scratch);
  const int64_t steps = (t.w.cols + 3) / 4;
  const int64_t step_bytes = Ahead::step_bytes(t.w.tile_bytes, (steps + RowTile<F>::kAskSteps - 1) / RowTile<F>::kAskSteps);
  for_panels<kVectors>(t, [&](const Panel& p) {
    const uint8_t* tile = t.w.data + p.tile * t.w.tile_bytes;
    const uint8_t* next = tile + (kVectors == 1 ? stream_ahead<F>(t, p, tile) : kVectors * t.w.tile_bytes);
    for_streamed_row_tiles(t, p, kInt8Rows, scratch.sums, [&](int64_t r, int64_t mr) {
      dispatch<RowTile<F>, kInt8Rows, kVectors>(mr, p.vectors, tile, t.w.tile_bytes, steps,
                                                share_of_next(p, r, kInt8Rows, next, t.w.tile_bytes, step_bytes),
                                                code_rows<F>(t.a, p.row + r, 0, 0, 0), scratch.sums);
    });
  });
}

template <typename F>
void run_rows(const LinearTask& t) {
  if (t.row_end - t.row_begin > kInt8Rows) {
    row_panels<F, kInt8Vectors>(t);
  } else {
    row_panels<F, 1>(t);
  }
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
