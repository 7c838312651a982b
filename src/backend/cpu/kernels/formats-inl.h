// Traits of the integer weight formats: how many bits a code has, what it means, and where scales lie. A format's weight is
//   kNone, kOffset: scale · (code - kOffset)     kMin: scale · code + shift     kZero: scale · (code - shift)
// where scale and shift belong to a group of kGroup inputs and are computed from a record that covers kSuper inputs.
#pragma once

#include <stdint.h>

#include "backend/cpu/kernels/unrolled-inl.h"
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
alignas(16) inline constexpr uint8_t kIq4Values[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};
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

/// Signed bytes with one scale an output. Record: f32 scale[16] for all inputs.
template <int kCodeOffset>
struct PerRow {
  static constexpr int kBits = 8, kGroup = 0, kSuper = 0, kRecord = 64, kOffset = kCodeOffset;
  static constexpr Shift kShift = Shift::kNone;
  static constexpr const uint8_t* kLookup = nullptr;
  static void scales(const uint8_t* record, int64_t, F32x16& scale, F32x16&) { scale = load_f32(reinterpret_cast<const float*>(record)); }
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

/// v shifted by kBy bits: left where positive, right where negative.
template <int kBy>
inline U8x64 shift(U8x64 v) {
  if constexpr (kBy >= 0) return shift_left<kBy>(v);
  return shift_right<(kBy < 0 ? -kBy : 0)>(v);
}

/// The bits of step kStep that a format of 6, 5 or 3 bits keeps in the plane above its nibbles or pairs.
template <typename F, int kStep>
inline U8x64 high_bits(const uint8_t* p) {
  if constexpr (F::kBits == 6) return shift<4 - kStep % 4 * 2>(load_u8(p + 256 + kStep / 4 * 64)) & set_u8(0x30);
  constexpr int kTo = F::kBits - 1;
  return shift<kTo - kStep>(load_u8(p + kTo * 64)) & set_u8(1 << kTo);
}

/// Calls body(n, s, w) for the eight steps s of the block of codes at `p`, n = 0 .. 7, in the order in which they unpack. w holds
/// inputs 4s .. 4s + 3 of 16 outputs as the dot products take them. n and s are Index.
template <typename F, typename Body>
inline void visit_block(const uint8_t* p, const Body& body) {
  constexpr int kLowBits = F::kBits == 8 ? 8 : F::kBits >= 4 ? 4 : 2;
  constexpr int kSteps = 8 / kLowBits;  // in one vector
  unrolled<0, 8 / kSteps>([&](auto j) {
    const U8x64 v = load_u8(p + j * 64);
    unrolled<0, kSteps>([&](auto i) {
      constexpr int kJ = decltype(j)::value, kI = decltype(i)::value;
      constexpr int kStep = kLowBits == 4 ? kJ + 4 * kI : kSteps * kJ + kI;
      U8x64 w = v;
      if constexpr (kLowBits < 8) w = shift_right<kI * kLowBits>(v) & set_u8((1 << kLowBits) - 1);
      if constexpr (F::kBits == 6 || F::kBits == 5 || F::kBits == 3) w = w | high_bits<F, kStep>(p);
      if constexpr (F::kLookup != nullptr) w = lookup16(F::kLookup, w);
      body(Index<kJ * kSteps + kI>{}, Index<kStep>{}, w);
    });
  });
}

/// The same as an array.
template <typename F>
inline void load_block(const uint8_t* p, U8x64 (&w)[8]) {
  visit_block<F>(p, [&](auto, auto s, U8x64 codes) { w[s] = codes; });
}

/// Bytes of one block of codes.
template <typename F>
inline constexpr int64_t kBlockBytes = F::kBits * 64;

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
