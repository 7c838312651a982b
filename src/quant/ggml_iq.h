// GGUF formats whose 4-bit codes index a table of values: iq4_nl and iq4_xs (non-linear grid) and mxfp4 (E2M1 with a
// power-of-two scale; OCP Microscaling Formats 1.0).
#pragma once

#include "quant/blocks.h"

namespace citius::quant {

inline constexpr int8_t kIq4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
/// E2M1 values, doubled.
inline constexpr int8_t kMxfp4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct BlockIQ4NL {  // 32 weights: w = d * value[q]
  uint8_t d[2];
  uint8_t qs[16];
};
struct BlockIQ4XS {  // 8 sub-blocks of 32: w = d * (scale - 32) * value[q], 6-bit scales
  uint8_t d[2];
  uint8_t scales_h[2];
  uint8_t scales_l[4];
  uint8_t qs[128];
};
struct BlockMXFP4 {  // 32 weights: w = 2^(e - 128) * value[q]
  uint8_t e;
  uint8_t qs[16];
};

/// 2^(e - 128): half of the E8M0 scale, because kMxfp4Values are doubled.
inline float e8m0_half(uint8_t e) { return std::bit_cast<float>(e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23); }

BlockCodec iq4_nl_codec();
BlockCodec iq4_xs_codec();
BlockCodec mxfp4_codec();

}  // namespace citius::quant
