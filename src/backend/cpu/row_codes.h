// Takes rows of the integer formats apart: codes as unsigned bytes in input order, and scales into the records that
// kernels/formats-inl.h reads.
#pragma once

#include <cstdint>

#include "quant/format.h"

namespace citius::cpu {

/// Bits of a code in packed tiles.
int code_bits(Format format);
/// Bytes of the scales region of a tile.
int64_t scale_bytes(Format format, int64_t cols);
/// Codes of one encoded row, [cols].
void read_row(Format format, const std::byte* row, int64_t cols, uint8_t* codes);
/// Scales of one encoded row into lane `n` of a tile's scales region.
void store_scales(Format format, const std::byte* row, int64_t cols, int n, uint8_t* scales);

}  // namespace citius::cpu
