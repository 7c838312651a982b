// How a rectangle of a product is walked: rows in blocks, outputs in panels of one or a few tiles, inputs in chunks or at once; and what is
// done with finished sums. Sums of a block of rows stay in scratch memory between chunks and reload unchanged, so that the
// result of an output does not depend on the walk.
#pragma once

#include <stdint.h>

#include "backend/cpu/kernels/activate-inl.h"
#include "backend/cpu/kernels/unrolled-inl.h"
#include "backend/cpu/linear_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// Floats between the sums of two rows: no more than the widest panel, so that those of many rows stay in the first-level cache.
inline constexpr int64_t kSumStride = kTile * kFloatVectors;
static_assert(kSumStride <= kMaxVectors * kTile);
/// Floats between the scales of two tiles.
inline constexpr int64_t kScaleStride = kCodeChunk / 16 * kTile;

/// The scratch memory of a task.
struct Scratch {
  float* sums;     // [kRowBlock][kSumStride]
  float* floats;   // [kMaxVectors][kFloatChunk][16]
  uint8_t* codes;  // [kMaxVectors][kCodeChunk / 4][64]
  float* scales;   // [kMaxVectors][kScaleStride]
  float* shifts;   // the same

  explicit Scratch(uint8_t* memory) {
    sums = reinterpret_cast<float*>(memory);
    floats = sums + kRowBlock * kSumStride;
    scales = floats + kMaxVectors * kFloatChunk * kTile;
    shifts = scales + kMaxVectors * kScaleStride;
    codes = reinterpret_cast<uint8_t*>(shifts + kMaxVectors * kScaleStride);
  }
};

/// Calls Kernel::run<rows, vectors>(args...) for run-time numbers up to kRows and kVectors.
template <typename Kernel, int kRows, int kVectors, typename... Args>
inline void dispatch(int64_t rows, int64_t vectors, const Args&... args) {
  if constexpr (kVectors > 1) {
    if (vectors < kVectors) return dispatch<Kernel, kRows, kVectors - 1>(rows, vectors, args...);
  }
  if constexpr (kRows > 1) {
    if (rows < kRows) return dispatch<Kernel, kRows - 1, kVectors>(rows, vectors, args...);
  }
  Kernel::template run<kRows, kVectors>(args...);
}

/// The same for kernels of one vector: Kernel::run<rows>(args...).
template <typename Kernel, int kRows, typename... Args>
inline void dispatch_rows(int64_t rows, const Args&... args) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return dispatch_rows<Kernel, kRows - 1>(rows, args...);
  }
  Kernel::template run<kRows>(args...);
}

/// y = act(sum(r, v) + bias) + residual for `rows` rows from `row` and the outputs of `vectors` tiles from `tile`; sum(r, v) is that of row
/// `row` + r and the outputs of tile `tile` + v. Everything it reads is a copy: a vector that is stored could be any of it otherwise.
template <typename Sum, typename Activation>
inline void finish_tiles(const Epilogue out, int64_t outputs, int64_t row, int64_t rows, int64_t tile, int64_t vectors, const Sum sum,
                         const Activation& activation) {
  for (int64_t v = 0; v < vectors; ++v) {
    const int64_t n = (tile + v) * kTile;
    const int64_t count = outputs - n < kTile ? outputs - n : kTile;
    const F32x16 bias = out.bias != nullptr ? load_first(out.bias + n, count) : zero_f32();
    float* y = out.y + row * out.y_stride + n;
    const float* residual = out.residual != nullptr ? out.residual + row * out.residual_stride + n : nullptr;
    for (int64_t r = 0; r < rows; ++r, y += out.y_stride) {
      F32x16 value = sum(r, v);
      if (out.bias != nullptr) value = value + bias;
      value = activation(value);
      if (residual != nullptr) {
        value = value + (count == kTile ? load_f32(residual) : load_first(residual, count));
        residual += out.residual_stride;
      }
      if (count == kTile) {
        store_f32(y, value);
      } else {
        store_first(y, value, count);
      }
    }
  }
}

template <typename Sum>
inline void finish(const LinearTask& t, int64_t row, int64_t rows, int64_t tile, int64_t vectors, const Sum& sum) {
  with_activation(t.out.activation,
                  [&](const auto& activation) { finish_tiles(t.out, t.w.rows, row, rows, tile, vectors, sum, activation); });
}

/// The same of sums in memory.
[[gnu::noinline]] inline void finish(const LinearTask& t, const float* sums, int64_t row, int64_t rows, int64_t tile, int64_t vectors) {
  finish(t, row, rows, tile, vectors, [=](int64_t r, int64_t v) { return load_f32(sums + r * kSumStride + v * kTile); });
}

/// Some rows by a few tiles of weights.
struct Panel {
  int64_t row, rows, tile, vectors;
};

/// Calls body(panel) for every panel of `kVectors` tiles.
template <int kVectors, typename Body>
inline void for_panels(const LinearTask& t, const Body& body) {
  for (int64_t row = t.row_begin; row < t.row_end; row += kRowBlock) {
    const int64_t rows = t.row_end - row < kRowBlock ? t.row_end - row : kRowBlock;
    for (int64_t tile = t.tile_begin; tile < t.tile_end; tile += kVectors) {
      body(Panel{row, rows, tile, t.tile_end - tile < kVectors ? t.tile_end - tile : kVectors});
    }
  }
}

/// Asks for the outputs of rows [r, r + mr) of a panel: their lines lie so far apart that no hardware sees them coming.
inline void prefetch_outputs(const LinearTask& t, const Panel& p, int64_t r, int64_t mr) {
  for (int64_t i = 0; i < mr; ++i) {
    for (int64_t v = 0; v < p.vectors; ++v) prefetch(t.out.y + (p.row + r + i) * t.out.y_stride + (p.tile + v) * kTile);
  }
}

/// Asks for the share of the next panel's weights that falls to rows [r, r + mr) and inputs [k, k + count) of `cols`.
inline void prefetch_next(const LinearTask& t, const Panel& p, int64_t r, int64_t mr, int64_t k, int64_t count, int64_t cols) {
  const uint8_t* next = t.w.data + (p.tile + p.vectors) * t.w.tile_bytes;
  const int64_t bytes = p.vectors * t.w.tile_bytes, all = cols * p.rows, done = k * p.rows + r * count;
  const int64_t end = bytes * (done + mr * count) / all;
  for (int64_t i = bytes * done / all / 64 * 64; i < end; i += 64) prefetch_l2(next + i);
}

/// Calls body(r, mr) for tiles of at most `most` rows of a panel, as equal as can be: five rows are 3 + 2, not 4 + 1.
template <typename Body>
inline void for_row_tiles(const Panel& p, int64_t most, const Body& body) {
  const int64_t tiles = (p.rows + most - 1) / most;
  int64_t r = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t mr = p.rows * (i + 1) / tiles - r;
    body(r, mr);
    r += mr;
  }
}

/// The same where body(r, mr) leaves sums: after the last inputs each tile of rows is finished at once, its sums still in the
/// first-level cache.
template <typename Body>
inline void for_finished_row_tiles(const LinearTask& t, const Panel& p, int64_t most, bool last, const float* sums, const Body& body) {
  for_row_tiles(p, most, [&](int64_t r, int64_t mr) {
    if (last) prefetch_outputs(t, p, r, mr);
    body(r, mr);
    if (last) finish(t, sums + r * kSumStride, p.row + r, mr, p.tile, p.vectors);
  });
}

/// The same for kernels that take a whole tile at once and leave the sums of their few rows at `sums`.
template <typename Body>
inline void for_streamed_row_tiles(const LinearTask& t, const Panel& p, int64_t most, const float* sums, const Body& body) {
  for_row_tiles(p, most, [&](int64_t r, int64_t mr) {
    prefetch_outputs(t, p, r, mr);
    body(r, mr);
    finish(t, sums, p.row + r, mr, p.tile, p.vectors);
  });
}

/// Of one vector a row. Unrolled, because compilers keep an array in memory that some loop over it indexes.
template <int kRows>
[[gnu::always_inline]] inline void load_sums(const float* sums, bool first, F32x16 (&acc)[kRows]) {
  unrolled<0, kRows>([&](auto r) __attribute__((always_inline)) { acc[r] = first ? zero_f32() : load_f32(sums + r * kSumStride); });
}

template <int kRows>
[[gnu::always_inline]] inline void store_sums(float* sums, const F32x16 (&acc)[kRows]) {
  unrolled<0, kRows>([&](auto r) __attribute__((always_inline)) { store_f32(sums + r * kSumStride, acc[r]); });
}

template <int kRows, int kVectors>
inline void load_sums(const float* sums, bool first, F32x16 (&acc)[kRows][kVectors]) {
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) acc[r][v] = first ? zero_f32() : load_f32(sums + r * kSumStride + v * kTile);
  }
}

template <int kRows, int kVectors>
inline void store_sums(float* sums, const F32x16 (&acc)[kRows][kVectors]) {
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) store_f32(sums + r * kSumStride + v * kTile, acc[r][v]);
  }
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
