// Products with fp32 activations: acc = fma(x[k], w[k], acc), one accumulator an output, ascending k. Weights are fp32, or
// 16-bit floats converted in registers, or anything decoded to an fp32 panel first; all give the same bits.
//
// The fast bf16 product is the same loop on rounded activations with every pair of inputs swapped, because vdpbf16ps adds
// the odd element of a pair first; machines with that instruction, or with ARM's bfmlalt and bfmlalb, have their own kernel.
#pragma once

#include "backend/cpu/kernels/formats-inl.h"
#include "backend/cpu/kernels/tiles-inl.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

struct F32Weights {
  static constexpr bool kDirect = true;  // no panel, whatever the number of rows
  static int64_t padded(int64_t cols) { return cols; }
  static int64_t offset(int64_t k) { return k * 64; }
  static F32x16 load(const uint8_t* w, int64_t k) { return load_f32(reinterpret_cast<const float*>(w) + k * kTile); }
};

struct F16Weights {
  static constexpr bool kDirect = false;
  static int64_t padded(int64_t cols) { return cols; }
  static int64_t offset(int64_t k) { return k * 32; }
  static F32x16 load(const uint8_t* w, int64_t k) { return load_f16(halves(w) + k * kTile); }
};

template <bool kSwapped>
struct Bf16Weights {
  static constexpr bool kDirect = false;
  static int64_t padded(int64_t cols) { return kSwapped ? cols + cols % 2 : cols; }
  static int64_t offset(int64_t k) { return k / 2 * 64; }
  static F32x16 load(const uint8_t* w, int64_t k) {
    const I32x16 pair = load_i32(reinterpret_cast<const int32_t*>(w) + k / 2 * kTile);
    const bool high = (k % 2 == 1) != kSwapped;
    return as_f32(high ? pair & set_i32(static_cast<int32_t>(0xffff0000)) : shift_left<16>(pair));
  }
};

/// sums[r][v] over `count` inputs; tile v of w begins v · tile_stride bytes on.
template <typename W>
struct FloatTile {
  template <int kRows, int kVectors>
  [[gnu::noinline]] static void run(const uint8_t* w, int64_t tile_stride, int64_t count, const float* x, int64_t x_stride, bool first,
                                    float* sums) {
    F32x16 acc[kRows][kVectors];
    load_sums(sums, first, acc);
    const auto step = [&](int64_t k, int64_t parity) {
      F32x16 weights[kVectors];
      for (int v = 0; v < kVectors; ++v) weights[v] = W::load(w + v * tile_stride + W::offset(k), parity);
      for (int r = 0; r < kRows; ++r) {
        const F32x16 input = set_f32(x[r * x_stride + k + parity]);
        for (int v = 0; v < kVectors; ++v) acc[r][v] = fma(input, weights[v], acc[r][v]);
      }
    };
    int64_t k = 0;
    for (; k + 2 <= count; k += 2) {
      step(k, 0);
      step(k, 1);
    }
    if (k < count) step(k, 0);
    store_sums(sums, acc);
  }
};

/// A panel over the inputs [k, k + count) of `cols` from weights at `w`.
template <typename W>
inline void float_rows(const LinearTask& t, const Panel& p, const uint8_t* w, int64_t tile_stride, int64_t k, int64_t count, int64_t cols,
                       float* sums) {
  const bool last = k + count == cols;
  for_finished_row_tiles(t, p, kFloatRows, last, sums, [&](int64_t r, int64_t mr) {
    prefetch_next(t, p, r, mr, k, count, cols);
    dispatch<FloatTile<W>, kFloatRows, kFloatVectors>(mr, p.vectors, w, tile_stride, count, t.a.x + (p.row + r) * t.a.x_stride + k,
                                                      t.a.x_stride, k == 0, sums + r * kSumStride);
  });
}

/// Weights that can be read as they lie.
template <typename W>
void run_float(const LinearTask& t) {
  const Scratch scratch(t.scratch);
  const int64_t cols = W::padded(t.w.cols);
  for_panels<kFloatVectors>(t, [&](const Panel& p) {
    const uint8_t* w = t.w.data + p.tile * t.w.tile_bytes;
    if (p.rows <= kFloatRows) {
      float_rows<W>(t, p, w, t.w.tile_bytes, 0, cols, cols, scratch.sums);
      return;
    }
    for (int64_t k = 0; k < cols; k += kFloatChunk) {
      const int64_t count = cols - k < kFloatChunk ? cols - k : kFloatChunk;
      if constexpr (W::kDirect) {
        float_rows<W>(t, p, w + W::offset(k), t.w.tile_bytes, k, count, cols, scratch.sums);
      } else {
        for (int64_t v = 0; v < p.vectors; ++v) {
          const uint8_t* from = w + v * t.w.tile_bytes + W::offset(k);
          float* to = scratch.floats + v * kFloatChunk * kTile;
          for (int64_t i = 0; i < count; ++i) store_f32(to + i * kTile, W::load(from, i));
        }
        float_rows<F32Weights>(t, p, reinterpret_cast<const uint8_t*>(scratch.floats), kFloatChunk * kTile * 4, k, count, cols,
                               scratch.sums);
      }
    }
  });
}

/// `count` inputs of one tile, from input `begin` (a multiple of kBlock), as fp32 [count][16].
template <typename F>
inline void decode_codes(const TileMatrix& w, int64_t tile, int64_t begin, int64_t count, float* out) {
  const uint8_t* base = w.data + tile * w.tile_bytes;
  constexpr int kPart = F::kGroup == 16 ? 16 : kBlock;  // inputs of a block that share a scale
  for (int64_t k = begin; k < begin + count; k += kBlock) {
    U8x64 codes[8];
    load_block<F>(base + w.codes_offset + k / kBlock * kBlockBytes<F>, codes);
    alignas(64) int32_t words[8][kTile];
    for (int s = 0; s < 8; ++s) store_u8x64(words[s], codes[s]);
    for (int part = 0; part < kBlock / kPart; ++part) {
      F32x16 scale, shift;
      scales_at<F>(base, k + part * kPart, scale, shift);
      for (int i = part * kPart; i < (part + 1) * kPart && k + i < begin + count; ++i) {
        I32x16 word = load_i32(words[i / 4]);
        if (i % 4 == 1) word = shift_right<8>(word);
        if (i % 4 == 2) word = shift_right<16>(word);
        if (i % 4 == 3) word = shift_right<24>(word);
        const F32x16 code = to_f32((word & set_i32(255)) - set_i32(F::kOffset));
        F32x16 value = scale * code;
        if constexpr (F::kShift == Shift::kMin) value = value + shift;
        if constexpr (F::kShift == Shift::kZero) value = scale * (code - shift);
        store_f32(out + (k - begin + i) * kTile, value);
      }
    }
  }
}

template <typename W>
void decode_floats(const TileMatrix& w, int64_t tile, int64_t begin, int64_t count, float* out) {
  const uint8_t* from = w.data + tile * w.tile_bytes + W::offset(begin);
  for (int64_t i = 0; i < count; ++i) store_f32(out + i * kTile, W::load(from, i));
}

template <typename F>
void decode_integers(const TileMatrix& w, int64_t tile, int64_t begin, int64_t count, float* out) {
  decode_codes<F>(w, tile, begin, count, out);
}

/// Integer formats with fp32 activations.
template <typename F>
void run_exact(const LinearTask& t) {
  const Scratch scratch(t.scratch);
  for_panels<kFloatVectors>(t, [&](const Panel& p) {
    for (int64_t k = 0; k < t.w.cols; k += kFloatChunk) {
      const int64_t count = t.w.cols - k < kFloatChunk ? t.w.cols - k : kFloatChunk;
      for (int64_t v = 0; v < p.vectors; ++v) {
        decode_codes<F>(t.w, p.tile + v, k, count, scratch.floats + v * kFloatChunk * kTile);
      }
      float_rows<F32Weights>(t, p, reinterpret_cast<const uint8_t*>(scratch.floats), kFloatChunk * kTile * 4, k, count, t.w.cols,
                             scratch.sums);
    }
  });
}

#if defined(__AVX512BF16__) || defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)

struct Bf16Tile {
  template <int kRows, int kVectors>
  [[gnu::noinline]] static void run(const uint8_t* w, int64_t tile_stride, int64_t pairs, const float* x, int64_t x_stride, float* sums) {
    F32x16 acc[kRows][kVectors];
    load_sums(sums, /*first=*/true, acc);
    for (int64_t k = 0; k < pairs; ++k) {
      I32x16 weights[kVectors];
      for (int v = 0; v < kVectors; ++v) {
        weights[v] = load_i32(reinterpret_cast<const int32_t*>(w + v * tile_stride) + k * kTile);
      }
      for (int r = 0; r < kRows; ++r) {
        const I32x16 input = load_quad(reinterpret_cast<const int8_t*>(x + r * x_stride + k));
        for (int v = 0; v < kVectors; ++v) acc[r][v] = dot_bf16(acc[r][v], weights[v], input);
      }
    }
    store_sums(sums, acc);
  }
};

void run_bf16(const LinearTask& t) {
  const Scratch scratch(t.scratch);
  for_panels<kFloatVectors>(t, [&](const Panel& p) {
    for_finished_row_tiles(t, p, kFloatRows, /*last=*/true, scratch.sums, [&](int64_t r, int64_t mr) {
      prefetch_next(t, p, r, mr, 0, t.w.cols, t.w.cols);
      dispatch<Bf16Tile, kFloatRows, kFloatVectors>(mr, p.vectors, t.w.data + p.tile * t.w.tile_bytes, t.w.tile_bytes, (t.w.cols + 1) / 2,
                                                    t.a.x + (p.row + r) * t.a.x_stride, t.a.x_stride, scratch.sums + r * kSumStride);
    });
  });
}

/// Pairs of bf16 in the low half of each output row.
inline void store_bf16_row(const float* x, int64_t cols, float* out) {
  uint16_t* to = reinterpret_cast<uint16_t*>(out);
  int64_t k = 0;
  for (; k + kTile <= cols; k += kTile) store_bf16(to + k, load_f32(x + k));
  uint16_t part[kTile];
  store_bf16(part, load_first(x + k, cols - k));
  for (int64_t i = 0; k + i < cols; ++i) to[k + i] = part[i];
  if (cols % 2 == 1) to[cols] = 0;
}

#else

void run_bf16(const LinearTask& t) { run_float<Bf16Weights</*kSwapped=*/true>>(t); }

/// Rounded values as fp32, the two of each pair swapped.
inline void store_bf16_row(const float* x, int64_t cols, float* out) {
  for (int64_t k = 0; k < cols; k += kTile) {
    alignas(64) float part[kTile];
    store_f32(part, as_f32(shift_left<16>(round_to_bf16(load_first(x + k, cols - k)))));
    for (int64_t i = 0; i < kTile && k + i < cols + cols % 2; ++i) out[k + i] = part[i ^ 1];
  }
}

#endif

void round_bf16(const float* x, int64_t x_stride, int64_t rows, int64_t cols, float* out, int64_t out_stride) {
  for (int64_t r = 0; r < rows; ++r) store_bf16_row(x + r * x_stride, cols, out + r * out_stride);
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
