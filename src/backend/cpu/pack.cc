#include "backend/cpu/pack.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "backend/cpu/row_codes.h"
#include "base/check.h"
#include "base/error.h"

namespace citius::cpu {
namespace {

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

void put_byte(uint8_t* out, const uint8_t* full, int plane) {
  for (int i = 0; i < 64; ++i) out[plane * 64 + i] = full[plane * 64 + i];
}

// The low `bits` (4 or 2) of eight steps as planes, and a single bit above them.
void put_nibbles(uint8_t* out, const uint8_t* full) {
  for (int i = 0; i < 256; ++i) out[i] = static_cast<uint8_t>((full[i] & 15) | (full[i + 256] << 4));
}
void put_pairs(uint8_t* out, const uint8_t* full, int shift) {
  for (int j = 0; j < 2; ++j) {
    const uint8_t* f = full + j * 256;
    for (int i = 0; i < 64; ++i) {
      out[j * 64 + i] = static_cast<uint8_t>(((f[i] >> shift) & 3) | (((f[i + 64] >> shift) & 3) << 2) |
                                             (((f[i + 128] >> shift) & 3) << 4) | (((f[i + 192] >> shift) & 3) << 6));
    }
  }
}
void put_bits(uint8_t* out, const uint8_t* full, int shift) {
  for (int i = 0; i < 64; ++i) {
    int byte = 0;
    for (int s = 0; s < 8; ++s) byte |= ((full[s * 64 + i] >> shift) & 1) << s;
    out[i] = static_cast<uint8_t>(byte);
  }
}

// One block of codes of 16 outputs, bytes [8 steps][16 outputs][4].
void put_block(uint8_t* out, const uint8_t* full, int bits) {
  switch (bits) {
    case 8:
      for (int plane = 0; plane < 8; ++plane) put_byte(out, full, plane);
      break;
    case 6:
      put_nibbles(out, full);
      put_pairs(out + 256, full, 4);
      break;
    case 5:
      put_nibbles(out, full);
      put_bits(out + 256, full, 4);
      break;
    case 4: put_nibbles(out, full); break;
    case 3:
      put_pairs(out, full, 0);
      put_bits(out + 128, full, 2);
      break;
    default: put_pairs(out, full, 0); break;
  }
}

void pack_codes(Format format, const std::byte* const* rows, int64_t cols, uint8_t* scales, uint8_t* out) {
  const int64_t padded = round_up(cols, kBlock);
  const int bits = code_bits(format);
  thread_local std::vector<uint8_t> codes;  // [16, padded]
  codes.assign(static_cast<size_t>(kTile * padded), 0);
  for (int n = 0; n < kTile; ++n) {
    if (rows[n] == nullptr) continue;
    read_row(format, rows[n], cols, codes.data() + n * padded);
    store_scales(format, rows[n], cols, n, scales);
  }
  for (int64_t block = 0; block < padded / kBlock; ++block) {
    uint8_t full[512];
    for (int n = 0; n < kTile; ++n) {
      for (int s = 0; s < 8; ++s) std::memcpy(full + s * 64 + n * 4, &codes[static_cast<size_t>(n * padded + block * kBlock + s * 4)], 4);
    }
    put_block(out + block * bits * 64, full, bits);
  }
}

template <typename T>
void pack_floats(const std::byte* const* rows, int64_t cols, int64_t pair, T* out) {
  for (int n = 0; n < kTile; ++n) {
    if (rows[n] == nullptr) continue;
    for (int64_t k = 0; k < cols; ++k) {
      std::memcpy(out + (k / pair * kTile + n) * pair + k % pair, rows[n] + static_cast<size_t>(k) * sizeof(T), sizeof(T));
    }
  }
}

}  // namespace

TileLayout tile_layout(Format format, int64_t cols) {
  switch (format) {
    case Format::kF32: return {cols * kTile * 4, 0};
    case Format::kF16: return {round_up(cols * kTile * 2, kTileAlignment), 0};
    case Format::kBF16: return {round_up(cols, 2) * kTile * 2, 0};
    default: break;
  }
  const int64_t scales = round_up(scale_bytes(format, cols), kTileAlignment);
  return {scales + round_up(cols, kBlock) / kBlock * code_bits(format) * 64, scales};
}

void pack_tile(Format format, const std::byte* const* rows, int64_t cols, uint8_t* out) {
  switch (format) {
    case Format::kF32: pack_floats(rows, cols, 1, reinterpret_cast<uint32_t*>(out)); return;
    case Format::kF16: pack_floats(rows, cols, 1, reinterpret_cast<uint16_t*>(out)); return;
    case Format::kBF16: pack_floats(rows, cols, 2, reinterpret_cast<uint16_t*>(out)); return;
    default: pack_codes(format, rows, cols, out, out + tile_layout(format, cols).codes_offset); return;
  }
}

size_t packed_bytes(Format format, int64_t rows, int64_t cols) {
  return static_cast<size_t>((rows + kTile - 1) / kTile * tile_layout(format, cols).bytes);
}

PackedTiles::PackedTiles(const MatrixSize& size, const LinearKernels& kernels, const uint8_t* tiles, std::shared_ptr<const void> owner)
    : PackedWeight(size.format, size.rows, size.cols), kernels_(kernels), owner_(std::move(owner)) {
  const TileLayout layout = tile_layout(size.format, size.cols);
  tiles_ = {tiles, layout.bytes, layout.codes_offset, size.rows, size.cols};
}

void PackedTiles::decode(int64_t row, float* out) const {
  CHECK(row >= 0 && row < rows());
  constexpr int64_t kChunk = 128;
  alignas(64) float tile[kChunk * kTile];
  for (int64_t k = 0; k < cols(); k += kChunk) {
    const int64_t count = std::min(kChunk, cols() - k);
    kernels().decode(tiles_, row / kTile, k, count, tile);
    for (int64_t i = 0; i < count; ++i) out[k + i] = tile[i * kTile + row % kTile];
  }
}

MatrixSize size_of_parts(std::span<const OwnedMatrix> parts) {
  CHECK(!parts.empty());
  const Format format = parts[0].matrix.format;
  const int64_t cols = parts[0].matrix.cols;
  if (cols < 1 || cols > kMaxCols) fail_input("weight", "got {} inputs, expected 1 to {}", cols, kMaxCols);
  int64_t num_rows = 0;
  for (const OwnedMatrix& part : parts) {
    if (part.matrix.format != format || part.matrix.cols != cols) {
      fail_input("weight", "parts of one weight differ: got {} with {} inputs, expected {} with {}", format_name(part.matrix.format),
                 part.matrix.cols, format_name(format), cols);
    }
    num_rows += part.matrix.rows;
  }
  return {format, num_rows, cols};
}

std::unique_ptr<PackedTiles> pack_matrix(std::span<const OwnedMatrix> parts, const LinearKernels& kernels, ThreadPool& pool,
                                         SharedPages& memory) {
  const MatrixSize size = size_of_parts(parts);
  const int64_t num_tiles = (size.rows + kTile - 1) / kTile, tile_bytes = tile_layout(size.format, size.cols).bytes;
  std::vector<const std::byte*> rows(static_cast<size_t>(num_tiles * kTile), nullptr);
  size_t next = 0;
  for (const OwnedMatrix& part : parts) {
    for (int64_t i = 0; i < part.matrix.rows; ++i) rows[next++] = part.matrix.row(i);
  }
  const std::shared_ptr<uint8_t> packed = memory.take(packed_bytes(size.format, size.rows, size.cols));
  pool.parallel_for(num_tiles, /*grain=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      pack_tile(size.format, rows.data() + tile * kTile, size.cols, packed.get() + tile * tile_bytes);
    }
  });
  return std::make_unique<PackedTiles>(size, kernels, packed.get(), packed);
}

}  // namespace citius::cpu
