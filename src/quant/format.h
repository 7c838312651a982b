// Weight formats: how the rows of a weight matrix are encoded, in files and in memory. One list (formats.inc), one header
// per format family with its block layout, reference decode and reference encode.
//
// Blocks of our own formats (all little endian):
//   int8:            row = { f32 scale; int8 q[K] },                  w = scale * q, q in [-127, 127]
//   int8-gN:         block = { f16 scale; int8 q[N] },                w = scale * q, q in [-127, 127]
//   int4-gN:         block = { f16 scale; u8 nibbles[N/2] },          w = scale * (q - 8), q in [0, 15]
//   int4z-gN:        block = { f16 scale; u8 zero; u8 nibbles[N/2] }, w = scale * (q - zero), zero in [0, 15]
// where nibble byte i of a block holds element i in its low half and element i + N/2 in its high half. The GGUF formats
// are laid out as ggml defines them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace citius {

enum class Format : uint8_t {
#define CITIUS_FORMAT(enumerator, name, elements, bytes) enumerator,
#include "quant/formats.inc"
#undef CITIUS_FORMAT
};

/// How a format wants activations: as they are, rounded to bf16, or int8 with one scale per token or per group of inputs.
/// A positive value is the group size.
enum class ActivationFormat : int16_t {
  kF32 = -2,
  kBF16 = -1,
  kInt8PerToken = 0,
  kInt8G32 = 32,
  kInt8G64 = 64,
  kInt8G128 = 128,
};

std::string_view format_name(Format format);
/// nullopt for an unknown name.
std::optional<Format> parse_format(std::string_view name);
const std::vector<Format>& all_formats();

/// Weights in one block; a row length must be a multiple of it. 1 for plain types and for int8 (any row length).
int64_t format_block_elements(Format format);
/// Bytes of one row of `cols` weights. CHECKs that cols is a multiple of the block.
size_t format_row_bytes(Format format, int64_t cols);
/// Average bits per weight of a row of `cols`.
double format_bits_per_weight(Format format, int64_t cols);
/// True for f32, f16 and bf16.
bool format_is_float(Format format);
/// Whether a row has one scale, and one signed byte a weight: int8, and int7, whose codes are within ±63. Two of their products with
/// an int8 activation fit 16 bits, which instruction sets without a four-way dot product gain a third from.
bool format_is_per_row(Format format);
/// What the fast mode uses with this format. kF32 for f32 and f16, kBF16 for bf16, kInt8PerToken for int8; groups of 32
/// for the GGUF formats.
ActivationFormat format_activation(Format format);

/// An encoded weight matrix [rows, cols], rows one after the other, row_bytes apart. Never owns; `data` may be unaligned.
struct EncodedMatrix {
  Format format = Format::kF32;
  int64_t rows = 0;
  int64_t cols = 0;
  const std::byte* data = nullptr;

  size_t row_bytes() const { return format_row_bytes(format, cols); }
  const std::byte* row(int64_t i) const { return data + static_cast<size_t>(i) * row_bytes(); }
};

/// Reference decode of one row to fp32 [cols]; bit-identical to the `gguf` package for the GGUF formats.
void decode_row(Format format, const std::byte* row, int64_t cols, float* out);

/// Reference encode of one fp32 row [cols] (our formats: scale from the largest magnitude, rounded to nearest; GGUF
/// formats: ggml's reference quantizers). Throws Error{kUsage} where we can read but not write a format.
void encode_row(Format format, const float* values, int64_t cols, std::byte* row);
bool can_encode(Format format);

/// An EncodedMatrix with what keeps its memory alive (a mapped file or a buffer).
struct OwnedMatrix {
  EncodedMatrix matrix;
  std::shared_ptr<const void> storage;
};
/// Re-encodes a matrix row by row (decode, then encode). Throws Error{kInput} where cols is no multiple of the block.
OwnedMatrix convert_matrix(const EncodedMatrix& source, Format target);

}  // namespace citius
