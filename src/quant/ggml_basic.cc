#include "quant/ggml_basic.h"

#include <algorithm>

namespace citius::quant {
namespace {

constexpr int kBlock = 32;

template <typename Block>
const Block& as(const uint8_t* block) {
  static_assert(alignof(Block) == 1);
  return *reinterpret_cast<const Block*>(block);
}
template <typename Block>
Block& as(uint8_t* block) {
  return *reinterpret_cast<Block*>(block);
}

void unpack_nibbles(const uint8_t* qs, uint8_t* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = qs[i] & 15;
    q[i + 16] = qs[i] >> 4;
  }
}

void unpack_five_bits(const uint8_t* qs, const uint8_t* qh, uint8_t* q) {
  unpack_nibbles(qs, q);
  const uint32_t high = load_u32(qh);
  for (int i = 0; i < kBlock; ++i) q[i] = static_cast<uint8_t>(q[i] | (((high >> i) & 1) << 4));
}

void pack_nibbles(const uint8_t* q, uint8_t* qs) {
  for (int i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>((q[i] & 15) | (q[i + 16] << 4));
}

void pack_five_bits(const uint8_t* q, uint8_t* qs, uint8_t* qh) {
  pack_nibbles(q, qs);
  uint32_t high = 0;
  for (int i = 0; i < kBlock; ++i) high |= static_cast<uint32_t>(q[i] >> 4) << i;
  store_u32(qh, high);
}

// Symmetric with an odd range: the value of largest magnitude gets the lowest code. The inverse of the scale before its
// rounding to f16 is used, as ggml does.
bool quantize_symmetric(const float* values, int levels, uint8_t* d_out, uint8_t* q) {
  float extreme = values[0];
  for (int i = 1; i < kBlock; ++i) {
    if (std::fabs(values[i]) > std::fabs(extreme)) extreme = values[i];
  }
  const auto half = static_cast<float>(levels / 2);
  const float d = extreme / -half, inverse = inverse_or_zero(d);
  for (int i = 0; i < kBlock; ++i) {
    const float shifted = values[i] * inverse + (half + 0.5f);
    q[i] = static_cast<uint8_t>(std::clamp(shifted, 0.0f, static_cast<float>(levels - 1)));
  }
  return store_f16(d_out, d);
}

bool quantize_affine(const float* values, int levels, uint8_t* d_out, uint8_t* m_out, uint8_t* q) {
  const auto [low, high] = std::minmax_element(values, values + kBlock);
  const float minimum = *low, d = (*high - minimum) / static_cast<float>(levels - 1), inverse = inverse_or_zero(d);
  for (int i = 0; i < kBlock; ++i) {
    const float shifted = (values[i] - minimum) * inverse + 0.5f;
    q[i] = static_cast<uint8_t>(std::clamp(shifted, 0.0f, static_cast<float>(levels - 1)));
  }
  const bool d_fits = store_f16(d_out, d);
  return store_f16(m_out, minimum) && d_fits;
}

void decode_q4_0(const uint8_t* data, float* out) {
  const auto& block = as<BlockQ4_0>(data);
  const float d = load_f16(block.d);
  uint8_t q[kBlock];
  unpack_nibbles(block.qs, q);
  for (int i = 0; i < kBlock; ++i) out[i] = d * static_cast<float>(q[i] - 8);
}

bool encode_q4_0(const float* values, uint8_t* data) {
  auto& block = as<BlockQ4_0>(data);
  uint8_t q[kBlock];
  const bool fits = quantize_symmetric(values, 16, block.d, q);
  pack_nibbles(q, block.qs);
  return fits;
}

void decode_q4_1(const uint8_t* data, float* out) {
  const auto& block = as<BlockQ4_1>(data);
  const float d = load_f16(block.d), m = load_f16(block.m);
  uint8_t q[kBlock];
  unpack_nibbles(block.qs, q);
  for (int i = 0; i < kBlock; ++i) out[i] = d * static_cast<float>(q[i]) + m;
}

bool encode_q4_1(const float* values, uint8_t* data) {
  auto& block = as<BlockQ4_1>(data);
  uint8_t q[kBlock];
  const bool fits = quantize_affine(values, 16, block.d, block.m, q);
  pack_nibbles(q, block.qs);
  return fits;
}

void decode_q5_0(const uint8_t* data, float* out) {
  const auto& block = as<BlockQ5_0>(data);
  const float d = load_f16(block.d);
  uint8_t q[kBlock];
  unpack_five_bits(block.qs, block.qh, q);
  for (int i = 0; i < kBlock; ++i) out[i] = d * static_cast<float>(q[i] - 16);
}

bool encode_q5_0(const float* values, uint8_t* data) {
  auto& block = as<BlockQ5_0>(data);
  uint8_t q[kBlock];
  const bool fits = quantize_symmetric(values, 32, block.d, q);
  pack_five_bits(q, block.qs, block.qh);
  return fits;
}

void decode_q5_1(const uint8_t* data, float* out) {
  const auto& block = as<BlockQ5_1>(data);
  const float d = load_f16(block.d), m = load_f16(block.m);
  uint8_t q[kBlock];
  unpack_five_bits(block.qs, block.qh, q);
  for (int i = 0; i < kBlock; ++i) out[i] = d * static_cast<float>(q[i]) + m;
}

bool encode_q5_1(const float* values, uint8_t* data) {
  auto& block = as<BlockQ5_1>(data);
  uint8_t q[kBlock];
  const bool fits = quantize_affine(values, 32, block.d, block.m, q);
  pack_five_bits(q, block.qs, block.qh);
  return fits;
}

void decode_q8_0(const uint8_t* data, float* out) {
  const auto& block = as<BlockQ8_0>(data);
  const float d = load_f16(block.d);
  for (int i = 0; i < kBlock; ++i) out[i] = d * static_cast<float>(block.qs[i]);
}

bool encode_q8_0(const float* values, uint8_t* data) {
  auto& block = as<BlockQ8_0>(data);
  float largest = 0;
  for (int i = 0; i < kBlock; ++i) largest = std::max(largest, std::fabs(values[i]));
  const float d = largest / 127, inverse = inverse_or_zero(d);
  for (int i = 0; i < kBlock; ++i) block.qs[i] = static_cast<int8_t>(std::round(values[i] * inverse));
  return store_f16(block.d, d);
}

}  // namespace

BlockCodec q4_0_codec() { return {decode_q4_0, encode_q4_0}; }
BlockCodec q4_1_codec() { return {decode_q4_1, encode_q4_1}; }
BlockCodec q5_0_codec() { return {decode_q5_0, encode_q5_0}; }
BlockCodec q5_1_codec() { return {decode_q5_1, encode_q5_1}; }
BlockCodec q8_0_codec() { return {decode_q8_0, encode_q8_0}; }

}  // namespace citius::quant
