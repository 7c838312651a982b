// What the linear kernels of one instruction set offer, as plain data: no standard library, because the units that fill the
// table are compiled for machines that this program may not run on.
//
// Packed weights are tiles of 16 outputs, one after the other. A tile has two regions: scales, then codes.
//   Codes are unsigned and come in blocks of 32 inputs; within a block, step s holds inputs 4s .. 4s+3 of all 16 outputs:
//   byte 4n + j is input 4s + j of output n, as the four-way dot product instructions want it. Fewer than 8 bits are kept
//   as planes of whole 64-byte vectors:
//     4 bits: vector j (of 4) has step j in the low half of each byte and step j + 4 in the high half;
//     2 bits: vector j (of 2) has step 4j + i in bits 2i, 2i+1;
//     1 bit: bit s of each byte belongs to step s;
//     5 = 4 + 1, 6 = 4 + 2 and 3 = 2 + 1 bits: the low plane followed by the high one.
//   Float formats have no scales: f32 and f16 are [K][16], bf16 is [ceil(K / 2)][16][2].
// The scales region of each format is described with its traits (kernels/formats-inl.h).
#pragma once

#include <stdint.h>

namespace citius::cpu {

inline constexpr int kTile = 16;   // outputs a tile
inline constexpr int kBlock = 32;  // inputs a block of codes

/// A packed matrix.
struct TileMatrix {
  const uint8_t* data = nullptr;
  int64_t tile_bytes = 0;
  int64_t codes_offset = 0;  // of the codes within a tile
  int64_t rows = 0;          // outputs N
  int64_t cols = 0;          // inputs K
};

/// Activations as a kernel reads them. Float kernels: `x`. Integer kernels: codes [T, padded K] with a scale for each group
/// of inputs, and for each group of weights one auxiliary value: what the format's kernel starts from or adds.
struct Activations {
  const float* x = nullptr;
  int64_t x_stride = 0;
  const int8_t* codes = nullptr;
  int64_t code_stride = 0;  // bytes
  const float* scales = nullptr;
  int64_t scale_stride = 0;
  const void* aux = nullptr;  // int32 or float
  int64_t aux_stride = 0;
};

/// What happens to a finished sum: + bias, activation, + residual.
struct Epilogue {
  const float* bias = nullptr;
  int activation = 0;  // ActivationKind
  const float* residual = nullptr;
  int64_t residual_stride = 0;
  float* y = nullptr;
  int64_t y_stride = 0;
};

/// A rectangle of one product: rows of x times tiles of w, by one thread.
struct LinearTask {
  TileMatrix w;
  Activations a;
  Epilogue out;
  int64_t row_begin = 0, row_end = 0;
  int64_t tile_begin = 0, tile_end = 0;
  bool follows_streams = false;  // follows_streams() of target.h
  uint8_t* scratch = nullptr;    // kLinearScratch bytes, aligned to 64
};

/// Rows whose sums a task keeps at once; a task with more walks the weights again for the next rows.
inline constexpr int64_t kRowBlock = 256;
/// Inputs in one panel of decoded weights: small enough that a panel stays in the first-level cache.
inline constexpr int64_t kFloatChunk = 128;
inline constexpr int64_t kCodeChunk = 640;
/// Most tiles a kernel works on at once.
inline constexpr int kMaxVectors = 3;
/// Sums, decoded fp32 weights, unpacked codes with their scales and shifts.
inline constexpr int64_t kLinearScratch =
    (kRowBlock + kFloatChunk) * kMaxVectors * kTile * 4 + kMaxVectors * (kCodeChunk * kTile + 2 * (kCodeChunk / 16) * kTile * 4);

/// How activations are prepared for a format.
enum class AuxKind : uint8_t {
  kNone,
  kOffset,     // int32: -offset · Σ q_x, where the accumulator starts
  kSum,        // float: Σ q_x
  kScaledSum,  // float: Σ q_x · x_scale
};

/// x [rows, cols] fp32 to int8.
struct QuantizeTask {
  const float* x = nullptr;
  int64_t x_stride = 0;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t group = 0;      // inputs per scale; 0: all
  int64_t aux_group = 0;  // inputs per auxiliary value; 0: all. Divides `group`
  AuxKind aux = AuxKind::kNone;
  int offset = 0;
  int64_t quad_bytes = 4;  // of four codes: 4, or simd's kWideQuadBytes as store_wide_quads() writes them
  int8_t* codes = nullptr;
  int64_t code_stride = 0;  // bytes; at least those of cols rounded up to kBlock, the rest is zero
  float* scales = nullptr;
  int64_t scale_stride = 0;
  void* aux_out = nullptr;
  int64_t aux_stride = 0;
};

/// How the fast path of a format wants its activations.
struct ActivationPlan {
  bool integer = false;
  bool bf16 = false;  // rounded to bf16, as fp32, each pair swapped (see kernels/float-inl.h) or packed
  int64_t group = 0;
  int64_t aux_group = 0;
  AuxKind aux = AuxKind::kNone;
  int offset = 0;
  int64_t quad_bytes = 4;  // of four codes, as the instruction set's dot() takes them
};

struct FormatKernels {
  const char* name = nullptr;  // of the fast path, for explain()
  ActivationPlan plan;
  int64_t panel_tiles = 1;  // handed out at once with many rows: a multiple of what `fast` works on at once
  void (*fast)(const LinearTask&) = nullptr;
  void (*exact)(const LinearTask&) = nullptr;
  /// Inputs [begin, begin + count) of tile `tile` as fp32 [count][16]; begin and count are multiples of kBlock, or reach
  /// the last input.
  void (*decode)(const TileMatrix& w, int64_t tile, int64_t begin, int64_t count, float* out) = nullptr;
};

inline constexpr int kMaxFormats = 32;

struct LinearKernels {
  FormatKernels formats[kMaxFormats];  // by Format
  void (*quantize)(const QuantizeTask&) = nullptr;
  /// x to bf16 precision in the order that the bf16 kernels of this instruction set read: out [rows, out_stride].
  void (*round_bf16)(const float* x, int64_t x_stride, int64_t rows, int64_t cols, float* out, int64_t out_stride) = nullptr;
  int64_t exact_panel_tiles = 1;  // as panel_tiles, of the exact kernels
};

}  // namespace citius::cpu
