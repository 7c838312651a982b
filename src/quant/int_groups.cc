#include "quant/int_groups.h"

namespace citius::quant {
namespace {

float largest_magnitude(const float* values, int64_t count) {
  float largest = 0;
  for (int64_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(values[i]));
  return largest;
}

// Nearest integer (ties to even) in [low, high].
int quantize(float value, float inverse_scale, int low, int high) {
  const float scaled = std::clamp(value * inverse_scale, static_cast<float>(low), static_cast<float>(high));
  return static_cast<int>(std::nearbyint(scaled));
}

template <int N>
void decode_int8_group(const uint8_t* block, float* out) {
  const float scale = load_f16(block);
  const auto* q = reinterpret_cast<const int8_t*>(block + 2);
  for (int i = 0; i < N; ++i) out[i] = scale * static_cast<float>(q[i]);
}

template <int N>
bool encode_int8_group(const float* values, uint8_t* block) {
  if (!store_f16(block, largest_magnitude(values, N) / 127)) return false;
  const float inverse = inverse_or_zero(load_f16(block));  // of the scale as stored
  for (int i = 0; i < N; ++i) block[2 + i] = static_cast<uint8_t>(quantize(values[i], inverse, -127, 127));
  return true;
}

template <int N>
void decode_int4_group(const uint8_t* block, float* out) {
  const float scale = load_f16(block);
  for (int i = 0; i < N / 2; ++i) {
    out[i] = scale * static_cast<float>((block[2 + i] & 15) - 8);
    out[i + N / 2] = scale * static_cast<float>((block[2 + i] >> 4) - 8);
  }
}

// The value of largest magnitude is given the code 0 (-8 times the scale), which uses the longer side of [-8, 7]; the scale
// is negative where that value is positive.
template <int N>
bool encode_int4_group(const float* values, uint8_t* block) {
  float extreme = 0;
  for (int i = 0; i < N; ++i) {
    if (std::fabs(values[i]) > std::fabs(extreme)) extreme = values[i];
  }
  if (!store_f16(block, extreme / -8)) return false;
  const float inverse = inverse_or_zero(load_f16(block));
  for (int i = 0; i < N / 2; ++i) {
    const int low = quantize(values[i], inverse, -8, 7) + 8, high = quantize(values[i + N / 2], inverse, -8, 7) + 8;
    block[2 + i] = static_cast<uint8_t>(low | (high << 4));
  }
  return true;
}

template <int N>
void decode_int4z_group(const uint8_t* block, float* out) {
  const float scale = load_f16(block);
  const int zero = block[2];
  for (int i = 0; i < N / 2; ++i) {
    out[i] = scale * static_cast<float>((block[3 + i] & 15) - zero);
    out[i + N / 2] = scale * static_cast<float>((block[3 + i] >> 4) - zero);
  }
}

template <int N>
bool encode_int4z_group(const float* values, uint8_t* block) {
  float low = 0, high = 0;  // zero is always within the range, so that it is coded exactly
  for (int i = 0; i < N; ++i) {
    low = std::min(low, values[i]);
    high = std::max(high, values[i]);
  }
  if (!store_f16(block, high / 15 - low / 15)) return false;
  const float inverse = inverse_or_zero(load_f16(block));
  const int zero = quantize(-low, inverse, 0, 15);
  block[2] = static_cast<uint8_t>(zero);
  for (int i = 0; i < N / 2; ++i) {
    const int first = quantize(values[i], inverse, -zero, 15 - zero) + zero;
    const int second = quantize(values[i + N / 2], inverse, -zero, 15 - zero) + zero;
    block[3 + i] = static_cast<uint8_t>(first | (second << 4));
  }
  return true;
}

}  // namespace

void decode_int8_row(const uint8_t* row, int64_t cols, float* out) {
  const float scale = std::bit_cast<float>(load_u32(row));
  const auto* q = reinterpret_cast<const int8_t*>(row + 4);
  for (int64_t i = 0; i < cols; ++i) out[i] = scale * static_cast<float>(q[i]);
}

void encode_int8_row(const float* values, int64_t cols, int most, uint8_t* row) {
  const float scale = largest_magnitude(values, cols) / static_cast<float>(most);
  store_u32(row, std::bit_cast<uint32_t>(scale));
  const float inverse = inverse_or_zero(scale);
  for (int64_t i = 0; i < cols; ++i) row[4 + i] = static_cast<uint8_t>(quantize(values[i], inverse, -most, most));
}

template <int N>
BlockCodec int8_group_codec() {
  static_assert(sizeof(Int8Group<N>) == N + 2);
  return {decode_int8_group<N>, encode_int8_group<N>};
}
template <int N>
BlockCodec int4_group_codec() {
  static_assert(sizeof(Int4Group<N>) == N / 2 + 2);
  return {decode_int4_group<N>, encode_int4_group<N>};
}
template <int N>
BlockCodec int4z_group_codec() {
  static_assert(sizeof(Int4ZGroup<N>) == N / 2 + 3);
  return {decode_int4z_group<N>, encode_int4z_group<N>};
}
template BlockCodec int8_group_codec<32>();
template BlockCodec int8_group_codec<64>();
template BlockCodec int8_group_codec<128>();
template BlockCodec int4_group_codec<32>();
template BlockCodec int4_group_codec<64>();
template BlockCodec int4_group_codec<128>();
template BlockCodec int4z_group_codec<32>();
template BlockCodec int4z_group_codec<64>();
template BlockCodec int4z_group_codec<128>();

}  // namespace citius::quant
