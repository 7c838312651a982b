// Products with int8 activations. Inside a scale group the sum is exact in int32; groups are added in fp32, ascending:
// acc = fma(float(sum), w_scale · x_scale, acc). Codes are unsigned, so a constant offset is taken off through Σ q_x, where the
// int32 accumulator starts; a variable one through the auxiliary values of the activations.
#pragma once

#include "backend/cpu/kernels/formats-inl.h"
#include "backend/cpu/kernels/tiles-inl.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// What dot products of a format leave for the accumulator to take off.
template <typename F>
inline constexpr int kStartOffset = F::kOffset == 128 && kDotTakesOffset ? 0 : F::kOffset;

template <typename F>
inline I32x16 dot(I32x16 acc, U8x64 w, I32x16 x) {
  if constexpr (F::kOffset == 128) return dot_offset(acc, w, x);
  return dot_small(acc, w, x);
}

/// A chunk of weights as the kernels read it.
struct CodePanel {
  const uint8_t* codes;  // [groups][steps][64], unpacked; tiles code_stride bytes apart
  int64_t code_stride;
  const float* scales;  // [groups][16]; tiles scale_stride floats apart
  const float* shifts;
  int64_t scale_stride;
};

/// A few rows of activations, from the first input of a chunk.
struct CodeRows {
  const int8_t* codes;
  int64_t code_stride;
  const float* scales;
  int64_t scale_stride;
  const int32_t* aux;
  int64_t aux_stride;
};

template <typename F>
struct GroupTile {
  static constexpr int kSteps = F::kGroup / 4;
  // Groups of 16 weights share the scale of 32 activations.
  static constexpr int kGroupsPerScale = F::kGroup < 32 ? 32 / F::kGroup : 1;

  template <int kRows, int kVectors>
  [[gnu::noinline]] static void run(const CodePanel& w, const CodeRows& a, int64_t groups, bool first, float* sums) {
    F32x16 acc[kRows][kVectors];
    load_sums(sums, first, acc);
    for (int64_t g = 0; g < groups; ++g) {
      I32x16 sum[kRows][kVectors];
      for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < kVectors; ++v) {
          sum[r][v] = kStartOffset<F> != 0 ? set_i32(a.aux[r * a.aux_stride + g]) : zero_i32();
        }
      }
#pragma GCC unroll 8
      for (int s = 0; s < kSteps; ++s) {
        U8x64 codes[kVectors];
        for (int v = 0; v < kVectors; ++v) codes[v] = load_u8(w.codes + v * w.code_stride + (g * kSteps + s) * 64);
        for (int r = 0; r < kRows; ++r) {
          const I32x16 input = load_quad(a.codes + r * a.code_stride + (g * kSteps + s) * 4);
          for (int v = 0; v < kVectors; ++v) sum[r][v] = dot<F>(sum[r][v], codes[v], input);
        }
      }
      add_group(w, a, g, sum, acc);
    }
    store_sums(sums, acc);
  }

  template <int kRows, int kVectors>
  static inline void add_group(const CodePanel& w, const CodeRows& a, int64_t g, const I32x16 (&sum)[kRows][kVectors],
                               F32x16 (&acc)[kRows][kVectors]) {
    const int64_t at = g * kTile;
    for (int v = 0; v < kVectors; ++v) {
      const F32x16 w_scale = load_f32(w.scales + v * w.scale_stride + at);
      F32x16 shift = zero_f32();
      if constexpr (F::kShift != Shift::kNone) shift = load_f32(w.shifts + v * w.scale_stride + at);
      for (int r = 0; r < kRows; ++r) {
        F32x16 value = to_f32(sum[r][v]);
        F32x16 aux = zero_f32();
        if constexpr (F::kShift != Shift::kNone) aux = as_f32(set_i32(a.aux[r * a.aux_stride + g]));
        if constexpr (F::kShift == Shift::kZero) value = fnma(shift, aux, value);  // exact: integers below 2^24
        const F32x16 scale = w_scale * set_f32(a.scales[r * a.scale_stride + g / kGroupsPerScale]);
        acc[r][v] = fma(value, scale, acc[r][v]);
        if constexpr (F::kShift == Shift::kMin) acc[r][v] = fma(aux, shift, acc[r][v]);
      }
    }
  }
};

/// Scales, and codes where they are packed below 8 bits, of `vectors` tiles for the inputs [k, k + count).
template <typename F>
inline CodePanel make_panel(const LinearTask& t, const Scratch& scratch, int64_t tile, int64_t vectors, int64_t k,
                            int64_t count) {
  constexpr int64_t kScaleStride = kCodeChunk / 16 * kTile;
  CodePanel panel{scratch.codes, kCodeChunk / 4 * 64, scratch.scales, scratch.shifts, kScaleStride};
  for (int64_t v = 0; v < vectors; ++v) {
    const uint8_t* base = t.w.data + (tile + v) * t.w.tile_bytes;
    for (int64_t g = 0; g < count / F::kGroup; ++g) {
      F32x16 scale, shift = zero_f32();
      scales_at<F>(base, k + g * F::kGroup, scale, shift);
      store_f32(scratch.scales + v * kScaleStride + g * kTile, scale);
      if constexpr (F::kShift != Shift::kNone) store_f32(scratch.shifts + v * kScaleStride + g * kTile, shift);
    }
  }
  const uint8_t* codes = t.w.data + tile * t.w.tile_bytes + t.w.codes_offset + k / kBlock * kBlockBytes<F>;
  if constexpr (F::kBits == 8 && F::kLookup == nullptr) {
    panel.codes = codes;
    panel.code_stride = t.w.tile_bytes;
  } else {
    for (int64_t v = 0; v < vectors; ++v) {
      for (int64_t b = 0; b < count / kBlock; ++b) {
        U8x64 steps[8];
        load_block<F>(codes + v * t.w.tile_bytes + b * kBlockBytes<F>, steps);
        uint8_t* to = scratch.codes + v * panel.code_stride + b * 512;
        for (int s = 0; s < 8; ++s) store_u8x64(to + s * 64, steps[s]);
      }
    }
  }
  return panel;
}

inline CodeRows code_rows(const Activations& a, int64_t row, int64_t k, int64_t scale, int64_t aux) {
  return {a.codes + row * a.code_stride + k,          a.code_stride,
          a.scales + row * a.scale_stride + scale,    a.scale_stride,
          static_cast<const int32_t*>(a.aux) + row * a.aux_stride + aux, a.aux_stride};
}

/// Formats with scales per group of inputs.
template <typename F>
void run_groups(const LinearTask& t) {
  const Scratch scratch(t.scratch);
  for_panels<kGroupVectors>(t, scratch.sums, [&](int64_t row, int64_t rows, int64_t tile, int64_t vectors) {
    for (int64_t k = 0; k < t.w.cols; k += kCodeChunk) {
      const int64_t count = t.w.cols - k < kCodeChunk ? t.w.cols - k : kCodeChunk;
      const CodePanel panel = make_panel<F>(t, scratch, tile, vectors, k, count);
      for_row_tiles(rows, kGroupRows, [&](int64_t r, int64_t mr) {
        const CodeRows a = code_rows(t.a, row + r, k, k / (F::kGroup < 32 ? 32 : F::kGroup), k / F::kGroup);
        dispatch<GroupTile<F>, kGroupRows, kGroupVectors>(mr, vectors, panel, a, count / F::kGroup, k == 0,
                                                          scratch.sums + r * kSumStride);
      });
    }
  });
}

/// One scale an output and one a token: a single int32 accumulator over all inputs.
struct Int8Tile {
  template <int kRows, int kVectors>
  [[gnu::noinline]] static void run(const uint8_t* tile, int64_t tile_stride, int64_t steps, const CodeRows& a,
                                    float* sums) {
    I32x16 sum[kRows][kVectors];
    for (int r = 0; r < kRows; ++r) {
      for (int v = 0; v < kVectors; ++v) sum[r][v] = set_i32(a.aux[r * a.aux_stride]);
    }
    const uint8_t* w = tile + Int8PerRow::kRecord;
    for (int64_t s = 0; s < steps; ++s) {
      U8x64 codes[kVectors];
      for (int v = 0; v < kVectors; ++v) codes[v] = load_u8(w + v * tile_stride + s * 64);
      for (int r = 0; r < kRows; ++r) {
        const I32x16 input = load_quad(a.codes + r * a.code_stride + s * 4);
        for (int v = 0; v < kVectors; ++v) sum[r][v] = dot_offset(sum[r][v], codes[v], input);
      }
    }
    for (int v = 0; v < kVectors; ++v) {
      const F32x16 w_scale = load_f32(reinterpret_cast<const float*>(tile + v * tile_stride));
      for (int r = 0; r < kRows; ++r) {
        const F32x16 scale = w_scale * set_f32(a.scales[r * a.scale_stride]);
        store_f32(sums + r * kSumStride + v * kTile, to_f32(sum[r][v]) * scale);
      }
    }
  }
};

void run_int8(const LinearTask& t) {
  const Scratch scratch(t.scratch);
  for_panels<kInt8Vectors>(t, scratch.sums, [&](int64_t row, int64_t rows, int64_t tile, int64_t vectors) {
    for_row_tiles(rows, kInt8Rows, [&](int64_t r, int64_t mr) {
      dispatch<Int8Tile, kInt8Rows, kInt8Vectors>(mr, vectors, t.w.data + tile * t.w.tile_bytes, t.w.tile_bytes,
                                                  (t.w.cols + 3) / 4, code_rows(t.a, row + r, 0, 0, 0),
                                                  scratch.sums + r * kSumStride);
    });
  });
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
