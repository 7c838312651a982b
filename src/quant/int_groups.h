// Our own integer formats: symmetric int8 and int4 with one f16 scale per group, and int4 with a zero point. Layouts are
// in format.h. Nibble i of a group holds element i (low half) and element i + N/2 (high half).
#pragma once

#include <algorithm>

#include "quant/blocks.h"

namespace citius::quant {

template <int N>
struct Int8Group {
  uint8_t scale[2];
  int8_t q[N];
};

template <int N>
struct Int4Group {
  uint8_t scale[2];
  uint8_t nibbles[N / 2];
};

template <int N>
struct Int4ZGroup {
  uint8_t scale[2];
  uint8_t zero;
  uint8_t nibbles[N / 2];
};

/// A whole row of format int8 or int7: { f32 scale; int8 q[cols] }, codes within ±`most`.
void decode_int8_row(const uint8_t* row, int64_t cols, float* out);
void encode_int8_row(const float* values, int64_t cols, int most, uint8_t* row);

/// Codecs for N = 32, 64 and 128.
template <int N>
BlockCodec int8_group_codec();
template <int N>
BlockCodec int4_group_codec();
template <int N>
BlockCodec int4z_group_codec();

}  // namespace citius::quant
