// Products by the tile registers of AMX, for the instruction set that has them: 16 rows by 16 outputs by 64 bytes of inputs in one
// instruction. Packed weights are what these read as they lie. Integer sums are exact, so they have the bits of the kernels of
// integer-inl.h, which stay in use for few rows; bf16 goes this way for any number of rows, because its sums round otherwise.
#pragma once

#include "backend/cpu/kernels/float-inl.h"
#include "backend/cpu/kernels/integer-inl.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

#if defined(__AMX_INT8__)

/// Rows from which integers go this way: with one scale an output; with scales a group, codes as they lie (up to kAmxStreamRows) and codes
/// that are unpacked to memory first. Groups of 16 with a scale and a minimum have twice the sums to scale, which products do not speed up.
inline constexpr int64_t kAmxRowsFrom = 3, kAmxStreamFrom = 5, kAmxStreamRows = 2 * kAmxRows;
template <typename F>
inline constexpr int64_t kAmxUnpackFrom = F::kGroup == 16 && F::kShift != Shift::kNone ? 33 : 9;

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

/// A tile of rows by a tile of weights.
struct AmxPlace {
  int64_t rows = 0, tile = 0;  // numbers of tiles
};

/// Products at some places, at least one, of weights with scales a group, over the same groups of inputs, at least one, at each. Work says
/// where they are:
///   kGroup, kOffset, kShift          of the format; kOffset is 0 where codes are signed
///   void next(AmxPlace&)             from one place to the one behind it; the first is {}
///   const uint8_t* codes(AmxPlace)   [groups][kGroup / 4][64]
///   CodeRows rows(AmxPlace)
///   Scales scales(AmxPlace)          with read(g, scale, shift)
///   float* begin(AmxPlace)           where sums go, and where they come from unless `first`
///   void end(AmxPlace)               of complete sums
///   void ask(codes, asked)           for weights that will be needed, while those at `codes` are multiplied; `asked` is its own count
/// While the sums of one group are scaled those of the next are stored and the ones behind it multiplied, from one place to the next as
/// well: a product takes 50 cycles, and a store that waits for it keeps all behind it from starting.
template <typename Work>
struct AmxGroups {
  template <int kRows>
  [[gnu::noinline]] static void run(const Work& given, int64_t places, int64_t groups, bool first) {
    const Work work = given;  // a copy, which what is stored cannot be
    alignas(64) int32_t exact[2][kAmxRows][kTile];
    int64_t stores = places * groups, products = stores, asked = 0;  // still to be done

    AmxPlace next;  // to be multiplied
    int64_t next_group = 0;
    const uint8_t* codes = work.codes(next);
    CodeRows x = work.rows(next);
    const auto multiply = [&](auto which) __attribute__((always_inline)) {
      if (products == 0) return;
      --products;
      work.ask(codes, asked);
      amx_zero<which>();
      constexpr int kBytes = Work::kGroup < kAmxBytes ? Work::kGroup : kAmxBytes;
      for (int k = 0; k < Work::kGroup; k += kBytes) {
        amx_load<6 + which>(codes, 64);
        amx_load<4 + which>(x.codes, x.code_stride);
        if constexpr (Work::kOffset == 0) {
          amx_dot_s8s8<which, 4 + which, 6 + which>();
        } else {
          amx_dot_s8s8<which, 4 + which, kAmxOffsets>();
          amx_dot_s8u8<which, 4 + which, 6 + which>();
        }
        codes += kBytes * kTile;
        x.codes += kBytes;
      }
      if (++next_group == groups && products > 0) {
        next_group = 0;
        work.next(next);
        codes = work.codes(next);
        x = work.rows(next);
      }
    };
    const auto store = [&](auto which) __attribute__((always_inline)) {
      if (stores == 0) return;
      --stores;
      amx_store<which>(exact[which], 64);
    };
    if constexpr (Work::kOffset != 0) {
      static_assert(Work::kOffset == 128);  // -128 is a signed byte
      alignas(64) uint8_t offsets[64];
      store_u8x64(offsets, set_u8(-Work::kOffset));
      amx_load<kAmxOffsets>(offsets, 0);
    }
    multiply(Index<0>{});
    multiply(Index<1>{});
    store(Index<0>{});
    multiply(Index<0>{});

    AmxPlace place;  // to be scaled
    CodeRows a = work.rows(place);
    auto scales = work.scales(place);
    float* sums = work.begin(place);
    F32x16 acc[kRows];
    load_sums(sums, first, acc);
    int64_t g = 0;
    const auto scale = [&](auto which) __attribute__((always_inline)) {
      F32x16 w_scale, shift = zero_f32();
      scales.read(g, w_scale, shift);
      unrolled<0, kRows>([&](auto r) __attribute__((always_inline)) {
        acc[r] = add_group<Work>(acc[r], load_i32(exact[which][r]), w_scale, shift, a, r, g);
        asm volatile("" : "+v"(acc[r].v));  // row after row: compilers start all rows first and run out of registers
      });
      if (++g < groups) return true;
      store_sums(sums, acc);
      work.end(place);
      if (--places == 0) return false;
      g = 0;
      work.next(place);
      a = work.rows(place);
      scales = work.scales(place);
      sums = work.begin(place);
      load_sums(sums, first, acc);
      return true;
    };
    for (;;) {
      store(Index<1>{});
      multiply(Index<1>{});
      if (!scale(Index<0>{})) return;
      store(Index<0>{});
      multiply(Index<0>{});
      if (!scale(Index<1>{})) return;
    }
  }
};

/// Weights as they lie, for formats whose codes are bytes, and so few rows that memory is what takes the time: a tile after the other, in
/// the order of their addresses.
template <typename F>
struct AmxStream {
  static constexpr int kGroup = F::kGroup, kOffset = F::kOffset;
  static constexpr Shift kShift = F::kShift;
  struct Scales {
    const uint8_t* tile;
    void read(int64_t g, F32x16& scale, F32x16& shift) const { scales_at<F>(tile, g * kGroup, scale, shift); }
  };
  static constexpr int kLines = kGroup * kTile / 64;  // of the codes of a group
  /// How far ahead codes are asked for once more, from the second-level cache to the first: a register's load waits for every line.
  static constexpr int64_t kNear = 2048;
  const LinearTask* t;
  AmxRowTiles tiles;
  float* sums;

  void ask(const uint8_t* codes, int64_t&) const {
    unrolled<0, kLines>([&](auto i) __attribute__((always_inline)) {
      prefetch_l2(codes + Ahead::kBytes + i * 64);
      prefetch(codes + kNear + i * 64);
    });
  }
  const uint8_t* tile(AmxPlace p) const { return t->w.data + (t->tile_begin + p.tile) * t->w.tile_bytes; }
  const uint8_t* codes(AmxPlace p) const { return tile(p) + t->w.codes_offset; }
  Scales scales(AmxPlace p) const { return {tile(p)}; }
  CodeRows rows(AmxPlace p) const { return code_rows<F>(t->a, t->row_begin + tiles.begin(p.rows), 0, 0, 0); }
  void next(AmxPlace& p) const {
    if (++p.rows < tiles.count) return;
    p.rows = 0;
    ++p.tile;
    for (int64_t i = 0; i < t->w.codes_offset; i += 64) prefetch_l2(tile(p) + Ahead::kBytes + i);
  }
  float* begin(AmxPlace p) const {
    prefetch_outputs(*t, {t->row_begin, tiles.rows, t->tile_begin + p.tile, 1}, tiles.begin(p.rows), tiles.height);
    return sums;
  }
  void end(AmxPlace p) const {
    const int64_t done = tiles.done(p.rows);
    finish(*t, sums + done * kSumStride, t->row_begin + tiles.begin(p.rows) + done, tiles.height - done, t->tile_begin + p.tile, 1);
  }
};

template <typename F>
inline void amx_stream_groups(const LinearTask& t) {
  const Scratch scratch(t.scratch);
  const AmxRowTiles tiles(t.row_end - t.row_begin);
  const int64_t groups = t.w.cols / F::kGroup;
  const AmxStream<F> work{&t, tiles, scratch.sums};
  amx_shape(tiles.height, F::kGroup < kAmxBytes ? F::kGroup : kAmxBytes, true);
  dispatch_rows<AmxGroups<AmxStream<F>>, kAmxRows>(tiles.height, work, (t.tile_end - t.tile_begin) * tiles.count, groups, true);
}

/// Codes unpacked to memory, once for all rows, as signed bytes, so that no offset is left to take off. A chunk of inputs of one panel.
template <int kGroupSize, Shift kShiftKind>
struct AmxUnpacked {
  static constexpr int kGroup = kGroupSize, kOffset = 0;
  static constexpr Shift kShift = kShiftKind;
  struct Scales {
    const float *scale, *shift;
    void read(int64_t g, F32x16& w_scale, F32x16& w_shift) const {
      w_scale = load_f32(scale + g * kTile);
      if constexpr (kShift != Shift::kNone) w_shift = load_f32(shift + g * kTile);
    }
  };
  const LinearTask* t;
  Panel panel;
  AmxRowTiles tiles;
  const Scratch* scratch;
  CodeRows first_row;
  bool last;  // inputs of the panel
  const CodeChunk* chunk;
  int64_t step_bytes;  // of each tile of the next panel to ask for with every group, in fixed point

  void ask(const uint8_t*, int64_t& asked) const {
    const int64_t end = asked + step_bytes;
    for (int64_t i = Ahead::line(asked); i < Ahead::line(end); i += 64) {
      for (int64_t v = 0; v < panel.vectors; ++v) prefetch_l2(chunk->next + v * chunk->packed_stride + i);
    }
    asked = end;
  }
  const uint8_t* codes(AmxPlace p) const { return scratch->codes + p.tile * kCodeChunk * kTile; }
  Scales scales(AmxPlace p) const { return {scratch->scales + p.tile * kScaleStride, scratch->shifts + p.tile * kScaleStride}; }
  CodeRows rows(AmxPlace p) const {
    const int64_t r = tiles.begin(p.rows);
    CodeRows a = first_row;
    a.codes += r * a.code_stride;
    a.scales += r * a.scale_stride;
    a.aux += r * a.aux_stride;
    return a;
  }
  void next(AmxPlace& p) const {
    if (++p.tile < panel.vectors) return;
    p.tile = 0;
    ++p.rows;
  }
  float* begin(AmxPlace p) const { return amx_sums(*scratch, p.rows) + p.tile * kTile; }
  void end(AmxPlace p) const {
    if (!last || p.tile + 1 < panel.vectors) return;
    const int64_t r = tiles.begin(p.rows), done = tiles.done(p.rows);
    finish(*t, amx_sums(*scratch, p.rows) + done * kSumStride, panel.row + r + done, tiles.height - done, panel.tile, panel.vectors);
  }
};

template <typename F>
inline void amx_unpacked_groups(const LinearTask& t) {
  using Work = AmxUnpacked<F::kGroup, F::kShift>;
  const Scratch scratch(t.scratch);
  for_panels<GroupTile<F>::kMostVectors>(t, [&](const Panel& p) {
    const AmxRowTiles tiles(p.rows);
    amx_shape(tiles.height, F::kGroup < kAmxBytes ? F::kGroup : kAmxBytes, true);
    for_code_chunks<F>(t.w.cols, [&](int64_t k, int64_t count) {
      const CodeChunk chunk = unpack_chunk<F, /*kSigned=*/true>(t, scratch, p, k, count);
      const int64_t packed = count / kBlock * kBlockBytes<F>, groups = count / F::kGroup, places = tiles.count * p.vectors;
      const CodeRows rows = code_rows<F>(t.a, p.row, k / 4, k / (F::kGroup < 32 ? 32 : F::kGroup), k / F::kGroup);
      const Work work{&t, p, tiles, &scratch, rows, k + count == t.w.cols, &chunk, Ahead::step_bytes(packed, groups * places)};
      dispatch_rows<AmxGroups<Work>, kAmxRows>(tiles.height, work, places, groups, k == 0);
    });
  });
}

/// Formats with scales per group of inputs.
template <typename F>
void run_groups_amx(const LinearTask& t) {
  const int64_t rows = t.row_end - t.row_begin;
  if constexpr (kAsTheyLie<F>) {
    if (rows >= kAmxStreamFrom && rows <= kAmxStreamRows) return amx_stream_groups<F>(t);
  }
  if (rows < kAmxUnpackFrom<F>) return run_groups<F>(t);
  amx_unpacked_groups<F>(t);
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
