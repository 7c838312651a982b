#include "quant/ggml_iq.h"

#include <algorithm>

#include "quant/fit.h"

namespace citius::quant {
namespace {

// Index of the grid value nearest to `value`.
int nearest_iq4(float value) {
  const auto* above = std::lower_bound(std::begin(kIq4Values), std::end(kIq4Values), value,
                                       [](int8_t grid, float v) { return static_cast<float>(grid) < v; });
  int index = static_cast<int>(above - kIq4Values);
  if (index == 16) return 15;
  if (index > 0 && value - kIq4Values[index - 1] <= kIq4Values[index] - value) --index;
  return index;
}

float fit_iq4(const float* values) {
  return fit_symmetric(values, 32, kIq4Values[0], 1.0f, 7, [](float value) { return static_cast<double>(kIq4Values[nearest_iq4(value)]); });
}

void pack_iq4(const float* values, float scale, uint8_t* qs) {
  const float inverse = inverse_or_zero(scale);
  for (int i = 0; i < 16; ++i) {
    qs[i] = static_cast<uint8_t>(nearest_iq4(values[i] * inverse) | (nearest_iq4(values[i + 16] * inverse) << 4));
  }
}

void unpack_values(const uint8_t* qs, const int8_t* table, float scale, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>(table[qs[i] & 15]);
    out[i + 16] = scale * static_cast<float>(table[qs[i] >> 4]);
  }
}

void decode_iq4_nl(const uint8_t* data, float* out) {
  const auto& block = *reinterpret_cast<const BlockIQ4NL*>(data);
  unpack_values(block.qs, kIq4Values, load_f16(block.d), out);
}

bool encode_iq4_nl(const float* values, uint8_t* data) {
  auto& block = *reinterpret_cast<BlockIQ4NL*>(data);
  const bool fits = store_f16(block.d, fit_iq4(values));
  pack_iq4(values, load_f16(block.d), block.qs);
  return fits;
}

void decode_iq4_xs(const uint8_t* data, float* out) {
  const auto& block = *reinterpret_cast<const BlockIQ4XS*>(data);
  const float d = load_f16(block.d);
  const uint16_t high = load_u16(block.scales_h);
  for (int sub = 0; sub < 8; ++sub) {
    const int scale = ((block.scales_l[sub / 2] >> (4 * (sub % 2))) & 15) | (((high >> (2 * sub)) & 3) << 4);
    unpack_values(block.qs + 16 * sub, kIq4Values, d * static_cast<float>(scale - 32), out + 32 * sub);
  }
}

bool encode_iq4_xs(const float* values, uint8_t* data) {
  auto& block = *reinterpret_cast<BlockIQ4XS*>(data);
  float fits[8], extreme = 0;
  for (int sub = 0; sub < 8; ++sub) {
    fits[sub] = fit_iq4(values + 32 * sub);
    if (std::fabs(fits[sub]) > std::fabs(extreme)) extreme = fits[sub];
  }
  const bool stored = store_f16(block.d, extreme / -32);
  const float d = load_f16(block.d), inverse = inverse_or_zero(d);
  uint16_t high = 0;
  std::fill(std::begin(block.scales_l), std::end(block.scales_l), uint8_t{0});
  for (int sub = 0; sub < 8; ++sub) {
    const int scale = round_clamped(fits[sub] * inverse, -32, 31);
    const int code = scale + 32;
    block.scales_l[sub / 2] = static_cast<uint8_t>(block.scales_l[sub / 2] | ((code & 15) << (4 * (sub % 2))));
    high = static_cast<uint16_t>(high | ((code >> 4) << (2 * sub)));
    pack_iq4(values + 32 * sub, d * static_cast<float>(scale), block.qs + 16 * sub);
  }
  store_u16(block.scales_h, high);
  return stored;
}

void decode_mxfp4(const uint8_t* data, float* out) {
  const auto& block = *reinterpret_cast<const BlockMXFP4*>(data);
  unpack_values(block.qs, kMxfp4Values, e8m0_half(block.e), out);
}

// The scale is the power of two that puts the largest magnitude into the binade of E2M1's largest values (4 and 6).
bool encode_mxfp4(const float* values, uint8_t* data) {
  auto& block = *reinterpret_cast<BlockMXFP4*>(data);
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::max(largest, std::fabs(values[i]));
  const float exponent = largest > 0 ? std::floor(std::log2(largest)) - 2 + 127 : 0.0f;
  block.e = static_cast<uint8_t>(std::clamp(exponent, 0.0f, 254.0f));
  const float scale = e8m0_half(block.e);
  uint8_t q[32];
  for (int i = 0; i < 32; ++i) {
    int best = 0;
    for (int code = 1; code < 16; ++code) {
      if (std::fabs(scale * static_cast<float>(kMxfp4Values[code]) - values[i]) <
          std::fabs(scale * static_cast<float>(kMxfp4Values[best]) - values[i])) {
        best = code;
      }
    }
    q[i] = static_cast<uint8_t>(best);
  }
  for (int i = 0; i < 16; ++i) block.qs[i] = static_cast<uint8_t>(q[i] | (q[i + 16] << 4));
  return true;
}

}  // namespace

BlockCodec iq4_nl_codec() { return {decode_iq4_nl, encode_iq4_nl}; }
BlockCodec iq4_xs_codec() { return {decode_iq4_xs, encode_iq4_xs}; }
BlockCodec mxfp4_codec() { return {decode_mxfp4, encode_mxfp4}; }

}  // namespace citius::quant
