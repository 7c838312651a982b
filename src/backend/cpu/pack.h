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

/// Names the layout of this file and of linear_kernels.h, which is the same for every instruction set: to be changed with it.
inline constexpr const char* kPacking = "tiles16.1";

/// Most inputs of a weight: the int32 accumulator of int8 rows holds 128 · 127 · K.
inline constexpr int64_t kMaxCols = int64_t{1} << 17;
/// What tiles are aligned to, in bytes.
inline constexpr int64_t kTileAlignment = 64;

/// Bytes of a packed matrix.
size_t packed_bytes(Format format, int64_t rows, int64_t cols);

/// Throws Error{kInput} where parts differ in format or width, or are wider than the kernels can sum.
MatrixSize size_of_parts(std::span<const OwnedMatrix> parts);

/// Writes one tile; `rows` holds 16 encoded rows, null where the matrix has no more. The layout is lossless. `out` is zeroed.
void pack_tile(Format format, const std::byte* const* rows, int64_t cols, uint8_t* out);

class PackedTiles final : public PackedWeight {
 public:
  /// Over tiles that `owner` keeps.
  PackedTiles(const MatrixSize& size, const LinearKernels& kernels, const uint8_t* tiles, std::shared_ptr<const void> owner);

  size_t bytes() const override { return packed_bytes(format(), rows(), cols()); }
  std::span<const std::byte> packed() const override { return {reinterpret_cast<const std::byte*>(tiles_.data), bytes()}; }
  void decode(int64_t row, float* out) const override;

  const TileMatrix& tiles() const { return tiles_; }
  const FormatKernels& kernels() const { return kernels_.formats[static_cast<size_t>(format())]; }

 private:
  const LinearKernels& kernels_;
  std::shared_ptr<const void> owner_;
  TileMatrix tiles_;
};

/// Packs the rows of `parts`, one part after the other, on the threads of the pool. Throws Error{kInput} where parts differ
/// in format or width, or are wider than the kernels can sum.
std::unique_ptr<PackedTiles> pack_matrix(std::span<const OwnedMatrix> parts, const LinearKernels& kernels, ThreadPool& pool,
                                         SharedPages& memory);

}  // namespace citius::cpu
