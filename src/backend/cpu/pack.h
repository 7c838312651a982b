// Weights in tiles of 16 outputs (linear_kernels.h describes the layout), and the way there from rows as files hold them.
#pragma once

#include <memory>
#include <span>

#include "backend/cpu/aligned_buffer.h"
#include "backend/cpu/linear_kernels.h"
#include "backend/packed_weight.h"
#include "base/thread_pool.h"

namespace citius::cpu {

/// Bytes of a tile, and where its codes begin.
struct TileLayout {
  int64_t bytes = 0;
  int64_t codes_offset = 0;
};
TileLayout tile_layout(Format format, int64_t cols);

/// Bytes of a packed matrix.
size_t packed_bytes(Format format, int64_t rows, int64_t cols);

/// What a weight is that is packed of several parts.
struct MatrixSize {
  Format format;
  int64_t rows, cols;
};
/// Throws Error{kInput} where parts differ in format or width, or are wider than the kernels can sum.
MatrixSize size_of_parts(std::span<const OwnedMatrix> parts);

/// Writes one tile; `rows` holds 16 encoded rows, null where the matrix has no more. The layout is lossless. `out` is zeroed.
void pack_tile(Format format, const std::byte* const* rows, int64_t cols, uint8_t* out);

class PackedTiles final : public PackedWeight {
 public:
  PackedTiles(Format format, int64_t rows, int64_t cols, const LinearKernels& kernels);

  size_t bytes() const override { return memory_.bytes(); }
  void decode(int64_t row, float* out) const override;

  const TileMatrix& tiles() const { return tiles_; }
  int64_t num_tiles() const { return (rows() + kTile - 1) / kTile; }
  const FormatKernels& kernels() const { return kernels_.formats[static_cast<size_t>(format())]; }
  /// Of tile `i`, to be filled once.
  uint8_t* tile(int64_t i) { return memory_.data() + i * tiles_.tile_bytes; }

 private:
  const LinearKernels& kernels_;
  AlignedBuffer memory_;
  TileMatrix tiles_;
};

/// Packs the rows of `parts`, one part after the other, on the threads of the pool. Throws Error{kInput} where parts differ
/// in format or width, or are wider than the kernels can sum.
std::unique_ptr<PackedTiles> pack_matrix(std::span<const OwnedMatrix> parts, const LinearKernels& kernels, ThreadPool& pool);

}  // namespace citius::cpu
