// Traits of the integer weight formats: how many bits a code has, what it means, and where scales lie. A format's weight is
//   kNone, kOffset: scale · (code - kOffset)     kMin: scale · code + shift     kZero: scale · (code - shift)
// where scale and shift belong to a group of kGroup inputs and are computed from a record that covers kSuper inputs.
#pragma once

#include <stdint.h>

#include "backend/cpu/linear_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

enum class Shift : uint8_t { kNone, kMin, kZero };

inline const uint16_t* halves(const uint8_t* p) { return reinterpret_cast<const uint16_t*>(p); }

/// Record: f16 scale[16].
template <int kGroupSize, int kCodeBits, int kCodeOffset>
struct Symmetric {
  static constexpr int kBits = kCodeBits, kGroup = kGroupSize, kSuper = kGroupSize, kRecord = 32, kOffset = kCodeOffset;
  static constexpr Shift kShift = Shift::kNone;
  static constexpr const uint8_t* kLookup = nullptr;
  static void scales(const uint8_t* record, int64_t, F32x16& scale, F32x16&) { scale = load_f16(halves(record)); }
};

/// Record: f16 scale[16], f16 min[16].
template <int kCodeBits>
struct WithMin {
  static constexpr int kBits = kCodeBits, kGroup = 32, kSuper = 32, kRecord = 64, kOffset = 0;
  static constexpr Shift kShift = Shift::kMin;
  static constexpr const uint8_t* kLookup = nullptr;
  static void scales(const uint8_t* record, int64_t, F32x16& scale, F32x16& shift) {
    scale = load_f16(halves(record));
    shift = load_f16(halves(record) + kTile);
  }
};

/// Record: f16 scale[16], u8 zero[16].
template <int kGroupSize>
struct WithZero {
  static constexpr int kBits = 4, kGroup = kGroupSize, kSuper = kGroupSize, kRecord = 48, kOffset = 0;
  static constexpr Shift kShift = Shift::kZero;
  static constexpr const uint8_t* kLookup = nullptr;
  static void scales(const uint8_t* record, int64_t, F32x16& scale, F32x16& shift) {
    scale = load_f16(halves(record));
    shift = to_f32(load_u8_to_i32(record + 32));
  }
};

/// Q4_K, Q5_K. Record of 256 inputs: f16 d[16], f16 dmin[16], then for each group u8 scale[16], u8 min[16].
template <int kCodeBits>
struct SuperWithMin {
  static constexpr int kBits = kCodeBits, kGroup = 32, kSuper = 256, kRecord = 64 + 8 * 32, kOffset = 0;
  static constexpr Shift kShift = Shift::kMin;
  static constexpr const uint8_t* kLookup = nullptr;
  static void scales(const uint8_t* record, int64_t group, F32x16& scale, F32x16& shift) {
    const uint8_t* bytes = record + 64 + group * 32;
    scale = load_f16(halves(record)) * to_f32(load_u8_to_i32(bytes));
    shift = set_f32(-1.0f) * load_f16(halves(record) + kTile) * to_f32(load_u8_to_i32(bytes + kTile));
  }
};

/// Q2_K. Record of 256 inputs: f16 d[16], f16 dmin[16], then for each group u8 (scale | min << 4)[16].
struct Q2K {
  static constexpr int kBits = 2, kGroup = 16, kSuper = 256, kRecord = 64 + 16 * 16, kOffset = 0;
  static constexpr Shift kShift = Shift::kMin;
  static constexpr const uint8_t* kLookup = nullptr;
  static void scales(const uint8_t* record, int64_t group, F32x16& scale, F32x16& shift) {
    const I32x16 bytes = load_u8_to_i32(record + 64 + group * 16);
    scale = load_f16(halves(record)) * to_f32(bytes & set_i32(15));
    shift = set_f32(-1.0f) * load_f16(halves(record) + kTile) * to_f32(shift_right<4>(bytes));
  }
};

/// Q3_K, Q6_K, IQ4_XS. Record of 256 inputs: f16 d[16], then for each group s8 scale[16].
template <int kCodeBits, int kGroupSize, int kCodeOffset>
struct SuperSymmetric {
  static constexpr int kBits = kCodeBits, kGroup = kGroupSize, kSuper = 256, kOffset = kCodeOffset;
  static constexpr int kRecord = 32 + 256 / kGroupSize * 16;
  static constexpr Shift kShift = Shift::kNone;
  static constexpr const uint8_t* kLookup = nullptr;
  static void scales(const uint8_t* record, int64_t group, F32x16& scale, F32x16&) {
    const int8_t* bytes = reinterpret_cast<const int8_t*>(record + 32 + group * 16);
    scale = load_f16(halves(record)) * to_f32(load_s8_to_i32(bytes));
  }
};

/// The sixteen values of IQ4_NL and IQ4_XS, plus 128.
alignas(16) inline constexpr uint8_t kIq4Values[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                                       129, 141, 153, 166, 181, 197, 217, 241};
/// The sixteen values of E2M1, doubled, plus 16.
alignas(16) inline constexpr uint8_t kE2m1Values[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

struct Iq4Nl : Symmetric<32, 4, 128> {
  static constexpr const uint8_t* kLookup = kIq4Values;
};
struct Iq4Xs : SuperSymmetric<4, 32, 128> {
  static constexpr const uint8_t* kLookup = kIq4Values;
};

/// Record: e8m0 scale[16]; half of 2^(e - 127), because the values are doubled.
struct Mxfp4 {
  static constexpr int kBits = 4, kGroup = 32, kSuper = 32, kRecord = 16, kOffset = 16;
  static constexpr Shift kShift = Shift::kNone;
  static constexpr const uint8_t* kLookup = kE2m1Values;
  static void scales(const uint8_t* record, int64_t, F32x16& scale, F32x16&) {
    const I32x16 e = load_u8_to_i32(record);
    const I32x16 tiny = select(equal(e, zero_i32()), set_i32(0x00200000), set_i32(0x00400000));
    scale = as_f32(select(less(e, set_i32(2)), tiny, shift_left<23>(e - set_i32(1))));
  }
};

/// int8 with one scale an output. Record: f32 scale[16] for all inputs.
struct Int8PerRow {
  static constexpr int kBits = 8, kGroup = 0, kSuper = 0, kRecord = 64, kOffset = 128;
  static constexpr Shift kShift = Shift::kNone;
  static constexpr const uint8_t* kLookup = nullptr;
  static void scales(const uint8_t* record, int64_t, F32x16& scale, F32x16&) {
    scale = load_f32(reinterpret_cast<const float*>(record));
  }
};

/// The record and the group in it that input `k` belongs to.
template <typename F>
inline void scales_at(const uint8_t* tile, int64_t k, F32x16& scale, F32x16& shift) {
  if constexpr (F::kGroup == 0) {
    F::scales(tile, 0, scale, shift);
  } else {
    F::scales(tile + k / F::kSuper * F::kRecord, k % F::kSuper / F::kGroup, scale, shift);
  }
}

/// One block of codes as the values that the dot products take: w[s] holds inputs 4s .. 4s + 3 of 16 outputs.
template <typename F>
inline void load_block(const uint8_t* p, U8x64 (&w)[8]) {
  if constexpr (F::kBits == 8) {
    for (int s = 0; s < 8; ++s) w[s] = load_u8(p + s * 64);
  } else if constexpr (F::kBits >= 4) {
    const U8x64 low = set_u8(15);
    for (int j = 0; j < 4; ++j) {
      const U8x64 v = load_u8(p + j * 64);
      w[j] = v & low;
      w[j + 4] = shift_right<4>(v) & low;
    }
  } else {
    const U8x64 low = set_u8(3);
    for (int j = 0; j < 2; ++j) {
      const U8x64 v = load_u8(p + j * 64);
      w[4 * j] = v & low;
      w[4 * j + 1] = shift_right<2>(v) & low;
      w[4 * j + 2] = shift_right<4>(v) & low;
      w[4 * j + 3] = shift_right<6>(v) & low;
    }
  }
  if constexpr (F::kBits == 6) {
    const U8x64 high = set_u8(0x30);
    for (int j = 0; j < 2; ++j) {
      const U8x64 v = load_u8(p + 256 + j * 64);
      w[4 * j] = w[4 * j] | (shift_left<4>(v) & high);
      w[4 * j + 1] = w[4 * j + 1] | (shift_left<2>(v) & high);
      w[4 * j + 2] = w[4 * j + 2] | (v & high);
      w[4 * j + 3] = w[4 * j + 3] | (shift_right<2>(v) & high);
    }
  }
  if constexpr (F::kBits == 5 || F::kBits == 3) {
    constexpr int kTo = F::kBits - 1;  // the bit that the plane supplies
    const U8x64 high = set_u8(1 << kTo);
    const U8x64 v = load_u8(p + kTo * 64);
    w[0] = w[0] | (shift_left<kTo>(v) & high);
    w[1] = w[1] | (shift_left<kTo - 1>(v) & high);
    w[2] = w[2] | (shift_left<kTo - 2>(v) & high);
    if constexpr (kTo == 4) {
      w[3] = w[3] | (shift_left<1>(v) & high);
      w[4] = w[4] | (v & high);
      w[5] = w[5] | (shift_right<1>(v) & high);
      w[6] = w[6] | (shift_right<2>(v) & high);
      w[7] = w[7] | (shift_right<3>(v) & high);
    } else {
      w[3] = w[3] | (shift_right<1>(v) & high);
      w[4] = w[4] | (shift_right<2>(v) & high);
      w[5] = w[5] | (shift_right<3>(v) & high);
      w[6] = w[6] | (shift_right<4>(v) & high);
      w[7] = w[7] | (shift_right<5>(v) & high);
    }
  }
  if constexpr (F::kLookup != nullptr) {
    for (int s = 0; s < 8; ++s) w[s] = lookup16(F::kLookup, w[s]);
  }
}

/// Bytes of one block of codes.
template <typename F>
inline constexpr int64_t kBlockBytes = F::kBits * 64;

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
