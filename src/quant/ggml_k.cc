// Decoders of the K-formats. The order of multiplications is that of the gguf package: super-scale times sub-scale first,
// rounded, then times the code.
#include "quant/ggml_k.h"

namespace citius::quant {

void unpack_scales_mins_k4(const uint8_t packed[12], uint8_t scales[8], uint8_t mins[8]) {
  for (int i = 0; i < 4; ++i) {
    scales[i] = packed[i] & 63;
    mins[i] = packed[i + 4] & 63;
    scales[i + 4] = static_cast<uint8_t>((packed[i + 8] & 15) | ((packed[i] >> 6) << 4));
    mins[i + 4] = static_cast<uint8_t>((packed[i + 8] >> 4) | ((packed[i + 4] >> 6) << 4));
  }
}

void unpack_scales_k3(const uint8_t packed[12], uint8_t scales[16]) {
  for (int i = 0; i < 16; ++i) {
    const int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
    const int high = (packed[8 + i % 4] >> (2 * (i / 4))) & 3;
    scales[i] = static_cast<uint8_t>(low | (high << 4));
  }
}

namespace {

void decode_q2_k(const uint8_t* data, float* out) {
  const auto& block = *reinterpret_cast<const BlockQ2K*>(data);
  const float d = load_f16(block.d), dmin = load_f16(block.dmin);
  for (int sub = 0; sub < 16; ++sub) {
    const float scale = d * static_cast<float>(block.scales[sub] & 15);
    const float minimum = dmin * static_cast<float>(block.scales[sub] >> 4);
    // 128 weights a half; each 2-bit plane of its 32 bytes holds two sub-blocks.
    const uint8_t* qs = block.qs + 32 * (sub / 8) + 16 * (sub % 2);
    const int shift = 2 * (sub % 8 / 2);
    for (int i = 0; i < 16; ++i) out[16 * sub + i] = scale * static_cast<float>((qs[i] >> shift) & 3) - minimum;
  }
}

void decode_q3_k(const uint8_t* data, float* out) {
  const auto& block = *reinterpret_cast<const BlockQ3K*>(data);
  const float d = load_f16(block.d);
  uint8_t scales[16];
  unpack_scales_k3(block.scales, scales);
  for (int sub = 0; sub < 16; ++sub) {
    const float scale = d * static_cast<float>(scales[sub] - 32);
    const uint8_t* qs = block.qs + 32 * (sub / 8) + 16 * (sub % 2);
    const uint8_t* high = block.hmask + 16 * (sub % 2);
    const int shift = 2 * (sub % 8 / 2), bit = sub / 2;
    for (int i = 0; i < 16; ++i) {
      const int q = ((qs[i] >> shift) & 3) - (((high[i] >> bit) & 1) != 0 ? 0 : 4);
      out[16 * sub + i] = scale * static_cast<float>(q);
    }
  }
}

void decode_q4_k(const uint8_t* data, float* out) {
  const auto& block = *reinterpret_cast<const BlockQ4K*>(data);
  const float d = load_f16(block.d), dmin = load_f16(block.dmin);
  uint8_t scales[8], mins[8];
  unpack_scales_mins_k4(block.scales, scales, mins);
  for (int sub = 0; sub < 8; ++sub) {
    const float scale = d * static_cast<float>(scales[sub]), minimum = dmin * static_cast<float>(mins[sub]);
    const uint8_t* qs = block.qs + 32 * (sub / 2);
    const int shift = 4 * (sub % 2);
    for (int i = 0; i < 32; ++i) out[32 * sub + i] = scale * static_cast<float>((qs[i] >> shift) & 15) - minimum;
  }
}

void decode_q5_k(const uint8_t* data, float* out) {
  const auto& block = *reinterpret_cast<const BlockQ5K*>(data);
  const float d = load_f16(block.d), dmin = load_f16(block.dmin);
  uint8_t scales[8], mins[8];
  unpack_scales_mins_k4(block.scales, scales, mins);
  for (int sub = 0; sub < 8; ++sub) {
    const float scale = d * static_cast<float>(scales[sub]), minimum = dmin * static_cast<float>(mins[sub]);
    const uint8_t* qs = block.qs + 32 * (sub / 2);
    const int shift = 4 * (sub % 2);
    for (int i = 0; i < 32; ++i) {
      const int q = ((qs[i] >> shift) & 15) | (((block.qh[i] >> sub) & 1) << 4);
      out[32 * sub + i] = scale * static_cast<float>(q) - minimum;
    }
  }
}

void decode_q6_k(const uint8_t* data, float* out) {
  const auto& block = *reinterpret_cast<const BlockQ6K*>(data);
  const float d = load_f16(block.d);
  for (int sub = 0; sub < 16; ++sub) {
    const float scale = d * static_cast<float>(block.scales[sub]);
    const int half = sub / 8, quarter = sub % 8 / 2, offset = 16 * (sub % 2);  // 128 weights a half, 32 a quarter
    const uint8_t* ql = block.ql + 64 * half + 32 * (quarter % 2) + offset;
    const uint8_t* qh = block.qh + 32 * half + offset;
    const int low_shift = 4 * (quarter / 2), high_shift = 2 * quarter;
    for (int i = 0; i < 16; ++i) {
      const int q = ((ql[i] >> low_shift) & 15) | (((qh[i] >> high_shift) & 3) << 4);
      out[16 * sub + i] = scale * static_cast<float>(q - 32);
    }
  }
}

}  // namespace

BlockCodec q2_k_codec() { return {decode_q2_k, encode_q2_k}; }
BlockCodec q3_k_codec() { return {decode_q3_k, encode_q3_k}; }
BlockCodec q4_k_codec() { return {decode_q4_k, encode_q4_k}; }
BlockCodec q5_k_codec() { return {decode_q5_k, encode_q5_k}; }
BlockCodec q6_k_codec() { return {decode_q6_k, encode_q6_k}; }

}  // namespace citius::quant
