// GGUF formats of 32 weights with one f16 scale: q4_0, q5_0, q8_0, and q4_1, q5_1 with a minimum. The codes of elements i
// and i + 16 share a byte; fifth bits are gathered in qh, bit i for element i.
#pragma once

#include "quant/blocks.h"

namespace citius::quant {

struct BlockQ4_0 {  // w = d * (q - 8)
  uint8_t d[2];
  uint8_t qs[16];
};
struct BlockQ4_1 {  // w = d * q + m
  uint8_t d[2], m[2];
  uint8_t qs[16];
};
struct BlockQ5_0 {  // w = d * (q - 16)
  uint8_t d[2];
  uint8_t qh[4];
  uint8_t qs[16];
};
struct BlockQ5_1 {  // w = d * q + m
  uint8_t d[2], m[2];
  uint8_t qh[4];
  uint8_t qs[16];
};
struct BlockQ8_0 {  // w = d * q
  uint8_t d[2];
  int8_t qs[32];
};

BlockCodec q4_0_codec();
BlockCodec q4_1_codec();
BlockCodec q5_0_codec();
BlockCodec q5_1_codec();
BlockCodec q8_0_codec();

}  // namespace citius::quant
