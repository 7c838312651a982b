// Products by the tile registers of AMX, for the instruction set that has them: 16 rows by 16 outputs by 64 bytes of inputs in one
// instruction. Packed weights are what these read as they lie. Integer sums are exact, so they have the bits of the kernels of
// integer-inl.h, which stay in use for few rows (kAmxRowsFrom, kAmxGroupsFrom); bf16 goes this way for any number of rows, because its sums
// round otherwise.
#pragma once

#include "backend/cpu/kernels/float-inl.h"
#include "backend/cpu/kernels/integer-inl.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

#if defined(__AMX_INT8__)

/// Rows from which integers go this way: with one scale an output, with scales a group.
inline constexpr int64_t kAmxRowsFrom = 3, kAmxGroupsFrom = 33;

/// The rows of a panel in tiles of one height, because changing the shape of the registers takes longer than some of the work: the last
/// tile begins early enough to be as high as the others, and what it computes again is not used again.
struct AmxRowTiles {
  explicit AmxRowTiles(int64_t rows) : rows(rows), count((rows + kAmxRows - 1) / kAmxRows), height((rows + count - 1) / count) {}
  int64_t begin(int64_t i) const { return i * height < rows - height ? i * height : rows - height; }
  /// Rows of tile i that earlier tiles have too.
  int64_t done(int64_t i) const { return i * height - begin(i); }
  int64_t rows, count, height;
};

/// Sums of tile i of a panel's rows.
inline float* amx_sums(const Scratch& scratch, int64_t i) { return scratch.sums + i * kAmxRows * kSumStride; }

struct Int8Dot {
  template <int kSums, int kX, int kW>
  static void add() {
    amx_dot_s8u8<kSums, kX, kW>();
  }
};
struct Bf16Dot {
  template <int kSums, int kX, int kW>
  static void add() {
    amx_dot_bf16<kSums, kX, kW>();
  }
};

/// Up to two tiles of rows by a panel of weights, multiplied but not finished.
struct AmxPending {
  Panel p = {};
  int64_t row[2] = {}, rows[2] = {};  // those to be finished
  const float* sums[2] = {};
};

/// Tile i of a panel's rows, and the next where there is one.
inline AmxPending pending_tiles(const Panel& p, const AmxRowTiles& tiles, int64_t i, const float* sums) {
  AmxPending pending;
  pending.p = p;
  for (int64_t j = 0; j < 2 && i + j < tiles.count; ++j) {
    const int64_t done = tiles.done(i + j);
    pending.row[j] = p.row + tiles.begin(i + j) + done;
    pending.rows[j] = tiles.height - done;
    pending.sums[j] = sums + (j * kAmxRows + done) * kSumStride;
  }
  return pending;
}

/// value(row, tile, sums) is a sum as finish() takes it.
template <typename Value>
[[gnu::noinline]] inline void finish_pending(const LinearTask& t, const AmxPending& pending, const Value& value) {
  for (int64_t j = 0; j < 2; ++j) {
    const int64_t row = pending.row[j], tile = pending.p.tile;
    const float* sums = pending.sums[j];
    if (pending.rows[j] == 0) continue;
    finish(t, row, pending.rows[j], tile, pending.p.vectors,
           [=](int64_t r, int64_t v) { return value(row + r, tile + v, sums + r * kSumStride + v * kTile); });
  }
}

/// Sums of one or two tiles of rows by up to two tiles of weights over whole registers of inputs. x[i]: tile i of the rows.
template <typename Dot>
struct AmxTile {
  template <int kTiles, int kVectors>
  [[gnu::noinline]] static void run(const uint8_t* w, int64_t tile_bytes, int64_t steps, const Ahead& ahead, const uint8_t* const* x,
                                    int64_t x_stride, float* const* sums) {
    unrolled<0, kTiles * kVectors>([](auto i) { amx_zero<i>(); });
    const uint8_t* rows[kTiles];
    for (int i = 0; i < kTiles; ++i) rows[i] = x[i];
    for (int64_t s = 0; s < steps; ++s) {
      ahead.ask<kVectors>(s, tile_bytes);
      unrolled<0, kVectors>([&](auto v) { amx_load<6 + v>(w + v * tile_bytes + s * 1024, 64); });
      unrolled<0, kTiles>([&](auto i) {
        amx_load<4 + i>(rows[i] + s * kAmxBytes, x_stride);
        unrolled<0, kVectors>([&](auto v) { Dot::template add<i * kVectors + v, 4 + i, 6 + v>(); });
      });
    }
    unrolled<0, kTiles>(
        [&](auto i) { unrolled<0, kVectors>([&](auto v) { amx_store<i * kVectors + v>(sums[i] + v * kTile, kSumStride * 4); }); });
  }
};

/// A product in panels of `kVectors` tiles of weights.
template <typename Dot, int kVectors, typename Value>
inline void amx_panels(const LinearTask& t, int64_t codes_offset, int64_t input_bytes, const uint8_t* x, int64_t x_stride,
                       const Value& value) {
  const Scratch scratch(t.scratch);
  const int64_t steps = input_bytes / kAmxBytes;
  const int64_t step_bytes = Ahead::step_bytes(t.w.tile_bytes, steps > 0 ? steps : 1);
  int64_t half = 0;    // of the memory for sums: with two tiles of rows or less, panels take turns
  AmxPending pending;  // is finished while the registers multiply what comes after it
  for_panels<kVectors>(t, [&](const Panel& p) {
    const AmxRowTiles tiles(p.rows);
    amx_shape(tiles.height, kAmxBytes);
    const uint8_t* w = t.w.data + p.tile * t.w.tile_bytes;
    const uint8_t* next = w + (kVectors == 1 ? Ahead::kBytes : kVectors * t.w.tile_bytes);
    for (int64_t i = 0; i < tiles.count; i += 2) {
      const int64_t some = tiles.count - i < 2 ? 1 : 2;
      const uint8_t* rows[2] = {};
      float* sums[2] = {};
      for (int64_t j = 0; j < some; ++j) {
        rows[j] = x + (p.row + tiles.begin(i + j)) * x_stride;
        sums[j] = amx_sums(scratch, half + i + j);
      }
      dispatch<AmxTile<Dot>, 2, kVectors>(some, p.vectors, w + codes_offset, t.w.tile_bytes, steps,
                                          share_of_next(p, tiles.begin(i), 2 * kAmxRows, next, t.w.tile_bytes, step_bytes), rows, x_stride,
                                          sums);
      finish_pending(t, pending, value);
      pending = pending_tiles(p, tiles, i, amx_sums(scratch, half + i));
      half = tiles.count <= 2 ? 2 - half : 0;
    }
  });
  finish_pending(t, pending, value);
}

/// Formats with one scale an output: what is left of the inputs is added to the exact sum, then the start that takes the offset off.
template <typename F, int kVectors>
inline void amx_row_panels(const LinearTask& t) {
  const int64_t bytes = (t.w.cols + 3) / 4 * 4, whole = bytes / kAmxBytes * kAmxBytes;
  const auto value = [=, w = t.w.data, tile_bytes = t.w.tile_bytes, rows = t.a](int64_t row, int64_t n, const float* sums) {
    const CodeRows a = code_rows<F>(rows, row, 0, 0, 0);
    const uint8_t* tile = w + n * tile_bytes;
    I32x16 sum = as_i32(load_f32(sums)) + set_i32(*a.aux);
    for (int64_t k = whole; k < bytes; k += 4) sum = dot(sum, load_u8(tile + F::kRecord + k * kTile), load_quad(a.codes + k));
    return to_f32(sum) * (load_f32(reinterpret_cast<const float*>(tile)) * set_f32(*a.scales));
  };
  amx_panels<Int8Dot, kVectors>(t, F::kRecord, bytes, reinterpret_cast<const uint8_t*>(t.a.codes), t.a.code_stride, value);
}

template <typename F>
void run_rows_amx(const LinearTask& t) {
  const int64_t rows = t.row_end - t.row_begin;
  if (rows < kAmxRowsFrom) {
    run_rows<F>(t);
  } else if (rows <= kAmxRows) {
    amx_row_panels<F, 1>(t);
  } else {
    amx_row_panels<F, 2>(t);
  }
}

/// bf16 weights; what is left of the inputs is added as vdpbf16ps does.
template <int kVectors>
inline void amx_bf16_panels(const LinearTask& t) {
  const int64_t pairs = (t.w.cols + 1) / 2, whole = t.w.cols / 32 * 16;
  const auto value = [=, w = t.w.data, tile_bytes = t.w.tile_bytes, a = t.a](int64_t row, int64_t n, const float* sums) {
    const int32_t* tile = reinterpret_cast<const int32_t*>(w + n * tile_bytes);
    const int8_t* x = reinterpret_cast<const int8_t*>(a.x + row * a.x_stride);
    F32x16 sum = load_f32(sums);
    for (int64_t k = whole; k < pairs; ++k) sum = dot_bf16(sum, load_i32(tile + k * kTile), load_quad(x + 4 * k));
    return sum;
  };
  amx_panels<Bf16Dot, kVectors>(t, 0, whole * 4, reinterpret_cast<const uint8_t*>(t.a.x), t.a.x_stride * 4, value);
}

inline void run_bf16_amx(const LinearTask& t) {
  if (t.row_end - t.row_begin <= kAmxRows) {
    amx_bf16_panels<1>(t);
  } else {
    amx_bf16_panels<2>(t);
  }
}

/// What the sums of groups depend on.
template <int kGroupSize, Shift kShiftKind>
struct AmxGroups {
  static constexpr int kGroup = kGroupSize;
  static constexpr Shift kShift = kShiftKind;

  /// Some rows by one tile of a chunk of signed codes. While one group's sums are scaled the next is multiplied.
  template <int kRows>
  [[gnu::noinline]] static void run(const uint8_t* codes, const float* scales, const float* shifts, const CodeRows& a, int64_t groups,
                                    bool first, float* sums) {
    using F = AmxGroups;
    alignas(64) int32_t exact[2][kAmxRows][kTile];
    F32x16 acc[kRows];
    load_sums(sums, first, acc);
    const auto multiply = [&](int64_t g, auto which) {
      amx_zero<which>();
      constexpr int kBytes = kGroup < kAmxBytes ? kGroup : kAmxBytes;
      for (int64_t k = g * kGroup; k < (g + 1) * kGroup; k += kBytes) {
        amx_load<6 + which>(codes + k * kTile, 64);
        amx_load<4 + which>(a.codes + k, a.code_stride);
        amx_dot_s8s8<which, 4 + which, 6 + which>();
      }
      amx_store<which>(exact[which], 64);
    };
    const auto scale = [&](int64_t g, auto which) {
      const F32x16 w_scale = load_f32(scales + g * kTile);
      const F32x16 shift = kShift == Shift::kNone ? zero_f32() : load_f32(shifts + g * kTile);
      for (int r = 0; r < kRows; ++r) acc[r] = add_group<F>(acc[r], load_i32(exact[which][r]), w_scale, shift, a, r, g);
    };
    multiply(0, Index<0>{});
    for (int64_t g = 0; g < groups; g += 2) {
      if (g + 1 < groups) multiply(g + 1, Index<1>{});
      scale(g, Index<0>{});
      if (g + 1 == groups) break;
      if (g + 2 < groups) multiply(g + 2, Index<0>{});
      scale(g + 1, Index<1>{});
    }
    store_sums(sums, acc);
  }
};

/// Formats with scales per group of inputs: codes are unpacked to memory as signed bytes, so that no offset is left to take off.
template <typename F>
void run_groups_amx(const LinearTask& t) {
  if (t.row_end - t.row_begin < kAmxGroupsFrom) return run_groups<F>(t);
  const Scratch scratch(t.scratch);
  for_panels<GroupTile<F>::kMostVectors>(t, [&](const Panel& p) {
    const AmxRowTiles tiles(p.rows);
    amx_shape(tiles.height, F::kGroup < kAmxBytes ? F::kGroup : kAmxBytes);
    for (int64_t k = 0; k < t.w.cols; k += kCodeChunk) {
      const int64_t count = t.w.cols - k < kCodeChunk ? t.w.cols - k : kCodeChunk;
      const CodeChunk chunk = unpack_chunk<F, /*kSigned=*/true>(t, scratch, p, k, count);
      const int64_t packed = count / kBlock * kBlockBytes<F>;
      for (int64_t i = 0; i < tiles.count; ++i) {
        for (int64_t v = 0; v < p.vectors; ++v) {
          const uint8_t* next = chunk.next + v * chunk.packed_stride;
          for (int64_t at = packed * i / tiles.count / 64 * 64; at < packed * (i + 1) / tiles.count; at += 64) prefetch_l2(next + at);
        }
        const CodeRows a = code_rows<F>(t.a, p.row + tiles.begin(i), k / 4, k / (F::kGroup < 32 ? 32 : F::kGroup), k / F::kGroup);
        for (int64_t v = 0; v < p.vectors; ++v) {
          dispatch_rows<AmxGroups<F::kGroup, F::kShift>, kAmxRows>(tiles.height, scratch.codes + v * kCodeChunk * kTile,
                                                                   scratch.scales + v * kScaleStride, scratch.shifts + v * kScaleStride, a,
                                                                   count / F::kGroup, k == 0, amx_sums(scratch, i) + v * kTile);
        }
        if (k + count < t.w.cols) continue;
        const int64_t done = tiles.done(i);
        finish(t, amx_sums(scratch, i) + done * kSumStride, p.row + tiles.begin(i) + done, tiles.height - done, p.tile, p.vectors);
      }
    }
  });
}

template <typename F>
inline constexpr auto* fast_rows = run_rows_amx<F>;
template <typename F>
inline constexpr auto* fast_groups = run_groups_amx<F>;
inline constexpr auto* fast_bf16 = run_bf16_amx;
/// Twice what a kernel works on at once: sums are finished behind the products of what comes after them, the last of a task behind none.
inline constexpr int64_t kFastRowsPanel = 4, kFastBf16Panel = 4;

#else

template <typename F>
inline constexpr auto* fast_rows = run_rows<F>;
template <typename F>
inline constexpr auto* fast_groups = run_groups<F>;
inline constexpr auto* fast_bf16 = run_bf16;
inline constexpr int64_t kFastRowsPanel = kInt8Vectors, kFastBf16Panel = kFloatVectors;

#endif

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
