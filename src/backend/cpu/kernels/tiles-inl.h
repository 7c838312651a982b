// How a rectangle of a product is walked: rows in blocks, outputs in panels of a few tiles, inputs in chunks; and what is
// done with finished sums. Sums of a block of rows stay in scratch memory between chunks and reload unchanged, so that the
// result of an output does not depend on the walk.
#pragma once

#include <stdint.h>

#include "backend/cpu/kernels/activate-inl.h"
#include "backend/cpu/linear_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

inline constexpr int64_t kSumStride = kMaxVectors * kTile;

/// The scratch memory of a task.
struct Scratch {
  float* sums;     // [kRowBlock][kSumStride]
  float* floats;   // [kMaxVectors][kFloatChunk][16]
  uint8_t* codes;  // [kMaxVectors][kCodeChunk / 4][64]
  float* scales;   // [kMaxVectors][kCodeChunk / 16][16]
  float* shifts;   // the same

  explicit Scratch(uint8_t* memory) {
    sums = reinterpret_cast<float*>(memory);
    floats = sums + kRowBlock * kSumStride;
    scales = floats + kMaxVectors * kFloatChunk * kTile;
    shifts = scales + kMaxVectors * kCodeChunk / 16 * kTile;
    codes = reinterpret_cast<uint8_t*>(shifts + kMaxVectors * kCodeChunk / 16 * kTile);
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

/// Splits `rows` into tiles of at most `most`, as equal as can be: five rows are 3 + 2, not 4 + 1.
template <typename Body>
inline void for_row_tiles(int64_t rows, int64_t most, const Body& body) {
  const int64_t tiles = (rows + most - 1) / most;
  int64_t row = 0;
  for (int64_t i = 0; i < tiles; ++i) {
    const int64_t next = rows * (i + 1) / tiles;
    body(row, next - row);
    row = next;
  }
}

/// y = act(sums + bias) + residual for `rows` rows from `row` and the outputs of `vectors` tiles from `tile`.
template <typename Activation>
inline void finish_tiles(const LinearTask& t, const float* sums, int64_t row, int64_t rows, int64_t tile, int64_t vectors,
                         const Activation& activation) {
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t v = 0; v < vectors; ++v) {
      const int64_t n = (tile + v) * kTile;
      const int64_t count = t.w.rows - n < kTile ? t.w.rows - n : kTile;
      F32x16 value = load_f32(sums + r * kSumStride + v * kTile);
      if (t.out.bias != nullptr) value = value + load_first(t.out.bias + n, count);
      value = activation(value);
      if (t.out.residual != nullptr) {
        value = value + load_first(t.out.residual + (row + r) * t.out.residual_stride + n, count);
      }
      store_first(t.out.y + (row + r) * t.out.y_stride + n, value, count);
    }
  }
}

inline void finish(const LinearTask& t, const float* sums, int64_t row, int64_t rows, int64_t tile, int64_t vectors) {
  with_activation(t.out.activation, [&](const auto& activation) { finish_tiles(t, sums, row, rows, tile, vectors, activation); });
}

/// Calls panel(row, rows, tile, vectors), then finishes the sums it left, for every panel of `kVectors` tiles.
template <int kVectors, typename Panel>
inline void for_panels(const LinearTask& t, const float* sums, const Panel& panel) {
  for (int64_t row = t.row_begin; row < t.row_end; row += kRowBlock) {
    const int64_t rows = t.row_end - row < kRowBlock ? t.row_end - row : kRowBlock;
    for (int64_t tile = t.tile_begin; tile < t.tile_end; tile += kVectors) {
      const int64_t vectors = t.tile_end - tile < kVectors ? t.tile_end - tile : kVectors;
      panel(row, rows, tile, vectors);
      finish(t, sums, row, rows, tile, vectors);
    }
  }
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
