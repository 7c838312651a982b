// GGUF K-formats: super-blocks of 256 weights in sub-blocks of 16 or 32, whose scales (and minima) are small integers times
// f16 super-scales d (and dmin).
#pragma once

#include "quant/blocks.h"

namespace citius::quant {

struct BlockQ2K {  // 16 sub-blocks of 16: w = d * (scales & 15) * q - dmin * (scales >> 4)
  uint8_t scales[16];
  uint8_t qs[64];
  uint8_t d[2], dmin[2];
};
struct BlockQ3K {  // 16 sub-blocks of 16: w = d * (scale - 32) * (q - 4), 6-bit scales, third bit of q in hmask
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint8_t d[2];
};
struct BlockQ4K {  // 8 sub-blocks of 32: w = d * scale * q - dmin * min, 6-bit scales and minima
  uint8_t d[2], dmin[2];
  uint8_t scales[12];
  uint8_t qs[128];
};
struct BlockQ5K {  // as q4_k with a fifth bit of q in qh
  uint8_t d[2], dmin[2];
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};
struct BlockQ6K {  // 16 sub-blocks of 16: w = d * scale * (q - 32), int8 scales
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint8_t d[2];
};

/// 6-bit scales and minima of the 8 sub-blocks of q4_k and q5_k.
void unpack_scales_mins_k4(const uint8_t packed[12], uint8_t scales[8], uint8_t mins[8]);
/// 6-bit scales of the 16 sub-blocks of q3_k, still with their offset of 32.
void unpack_scales_k3(const uint8_t packed[12], uint8_t scales[16]);

BlockCodec q2_k_codec();
BlockCodec q3_k_codec();
BlockCodec q4_k_codec();
BlockCodec q5_k_codec();
BlockCodec q6_k_codec();

bool encode_q2_k(const float* values, uint8_t* block);
bool encode_q3_k(const float* values, uint8_t* block);
bool encode_q4_k(const float* values, uint8_t* block);
bool encode_q5_k(const float* values, uint8_t* block);
bool encode_q6_k(const float* values, uint8_t* block);

}  // namespace citius::quant
