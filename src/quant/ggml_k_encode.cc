// Encoders of the K-formats, after ggml's reference design: fit every sub-block, store its scale (and minimum) as a small
// integer times a super-scale, then round the weights again against the scales as stored.
#include "quant/fit.h"
#include "quant/ggml_k.h"

namespace citius::quant {
namespace {

constexpr int kSuper = 256;

// Codes against a scale as stored; everything is 0 where the scale is 0.
void round_affine(const float* x, int count, float scale, float minimum, int top, uint8_t* q) {
  for (int i = 0; i < count; ++i) {
    q[i] = static_cast<uint8_t>(scale == 0 ? 0 : round_clamped((x[i] + minimum) / scale, 0, top));
  }
}

void round_symmetric(const float* x, int count, float scale, int half, uint8_t* q) {
  for (int i = 0; i < count; ++i) {
    q[i] = static_cast<uint8_t>(half + (scale == 0 ? 0 : round_clamped(x[i] / scale, -half, half - 1)));
  }
}

struct SuperFit {
  float d = 0, dmin = 0;  // as stored
  uint8_t scales[16] = {}, mins[16] = {};
  bool fits = true;
};

// Fits `count` sub-blocks and stores their scales and minima with `levels` levels.
SuperFit fit_super(const float* x, int count, int top, int levels, float first, int trials, uint8_t* d_out, uint8_t* dmin_out) {
  const int size = kSuper / count;
  AffineFit fits[16];
  float largest_scale = 0, largest_min = 0;
  for (int sub = 0; sub < count; ++sub) {
    const float* values = x + sub * size;
    double squares = 0;
    for (int i = 0; i < size; ++i) squares += static_cast<double>(values[i]) * values[i];
    const float spread = static_cast<float>(std::sqrt(squares / size));
    float weights[32];
    for (int i = 0; i < size; ++i) weights[i] = spread + std::fabs(values[i]);
    fits[sub] = fit_affine(values, weights, size, top, first, 0.1f, trials);
    largest_scale = std::max(largest_scale, fits[sub].scale);
    largest_min = std::max(largest_min, fits[sub].minimum);
  }
  SuperFit super;
  super.fits = store_f16(d_out, largest_scale / static_cast<float>(levels));
  super.fits &= store_f16(dmin_out, largest_min / static_cast<float>(levels));
  super.d = load_f16(d_out);
  super.dmin = load_f16(dmin_out);
  const float inverse_d = inverse_or_zero(super.d), inverse_dmin = inverse_or_zero(super.dmin);
  for (int sub = 0; sub < count; ++sub) {
    super.scales[sub] = static_cast<uint8_t>(round_clamped(fits[sub].scale * inverse_d, 0, levels));
    super.mins[sub] = static_cast<uint8_t>(round_clamped(fits[sub].minimum * inverse_dmin, 0, levels));
  }
  return super;
}

void pack_scales_mins_k4(const uint8_t scales[8], const uint8_t mins[8], uint8_t packed[12]) {
  for (int i = 0; i < 4; ++i) {
    packed[i] = static_cast<uint8_t>(scales[i] | ((scales[i + 4] >> 4) << 6));
    packed[i + 4] = static_cast<uint8_t>(mins[i] | ((mins[i + 4] >> 4) << 6));
    packed[i + 8] = static_cast<uint8_t>((scales[i + 4] & 15) | ((mins[i + 4] & 15) << 4));
  }
}

// Signed scales of 16 sub-blocks of 16 and the super-scale that maps the largest of them to -range.
bool fit_symmetric_super(const float* x, int half, int range, uint8_t* d_out, int scales[16]) {
  float fits[16], extreme = 0;
  for (int sub = 0; sub < 16; ++sub) {
    fits[sub] = fit_symmetric(x + 16 * sub, 16, static_cast<float>(-half), 0.1f, 9,
                              [half](float value) { return static_cast<double>(round_clamped(value, -half, half - 1)); });
    if (std::fabs(fits[sub]) > std::fabs(extreme)) extreme = fits[sub];
  }
  const bool stored = store_f16(d_out, extreme / static_cast<float>(-range));
  const float inverse = inverse_or_zero(load_f16(d_out));
  for (int sub = 0; sub < 16; ++sub) scales[sub] = round_clamped(fits[sub] * inverse, -range, range - 1);
  return stored;
}

}  // namespace

bool encode_q2_k(const float* values, uint8_t* data) {
  auto& block = *reinterpret_cast<BlockQ2K*>(data);
  const SuperFit super = fit_super(values, 16, 3, 15, -0.5f, 15, block.d, block.dmin);
  std::fill(std::begin(block.qs), std::end(block.qs), uint8_t{0});
  for (int sub = 0; sub < 16; ++sub) {
    block.scales[sub] = static_cast<uint8_t>(super.scales[sub] | (super.mins[sub] << 4));
    uint8_t q[16];
    round_affine(values + 16 * sub, 16, super.d * super.scales[sub], super.dmin * super.mins[sub], 3, q);
    uint8_t* qs = block.qs + 32 * (sub / 8) + 16 * (sub % 2);
    for (int i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>(qs[i] | (q[i] << (2 * (sub % 8 / 2))));
  }
  return super.fits;
}

bool encode_q3_k(const float* values, uint8_t* data) {
  auto& block = *reinterpret_cast<BlockQ3K*>(data);
  int scales[16];
  const bool fits = fit_symmetric_super(values, 4, 32, block.d, scales);
  const float d = load_f16(block.d);
  std::fill(std::begin(block.qs), std::end(block.qs), uint8_t{0});
  std::fill(std::begin(block.hmask), std::end(block.hmask), uint8_t{0});
  std::fill(std::begin(block.scales), std::end(block.scales), uint8_t{0});
  for (int sub = 0; sub < 16; ++sub) {
    const int code = scales[sub] + 32;
    uint8_t& low = block.scales[sub % 8];
    low = static_cast<uint8_t>(low | ((code & 15) << (sub < 8 ? 0 : 4)));
    uint8_t& high = block.scales[8 + sub % 4];
    high = static_cast<uint8_t>(high | ((code >> 4) << (2 * (sub / 4))));
    uint8_t q[16];
    round_symmetric(values + 16 * sub, 16, d * static_cast<float>(scales[sub]), 4, q);
    uint8_t* qs = block.qs + 32 * (sub / 8) + 16 * (sub % 2);
    uint8_t* mask = block.hmask + 16 * (sub % 2);
    for (int i = 0; i < 16; ++i) {
      qs[i] = static_cast<uint8_t>(qs[i] | ((q[i] & 3) << (2 * (sub % 8 / 2))));
      mask[i] = static_cast<uint8_t>(mask[i] | ((q[i] >> 2) << (sub / 2)));
    }
  }
  return fits;
}

bool encode_q4_k(const float* values, uint8_t* data) {
  auto& block = *reinterpret_cast<BlockQ4K*>(data);
  const SuperFit super = fit_super(values, 8, 15, 63, -1.0f, 20, block.d, block.dmin);
  pack_scales_mins_k4(super.scales, super.mins, block.scales);
  for (int sub = 0; sub < 8; ++sub) {
    uint8_t q[32];
    round_affine(values + 32 * sub, 32, super.d * super.scales[sub], super.dmin * super.mins[sub], 15, q);
    uint8_t* qs = block.qs + 32 * (sub / 2);
    for (int i = 0; i < 32; ++i) qs[i] = static_cast<uint8_t>(sub % 2 == 0 ? q[i] : qs[i] | (q[i] << 4));
  }
  return super.fits;
}

bool encode_q5_k(const float* values, uint8_t* data) {
  auto& block = *reinterpret_cast<BlockQ5K*>(data);
  const SuperFit super = fit_super(values, 8, 31, 63, -0.5f, 15, block.d, block.dmin);
  pack_scales_mins_k4(super.scales, super.mins, block.scales);
  std::fill(std::begin(block.qh), std::end(block.qh), uint8_t{0});
  for (int sub = 0; sub < 8; ++sub) {
    uint8_t q[32];
    round_affine(values + 32 * sub, 32, super.d * super.scales[sub], super.dmin * super.mins[sub], 31, q);
    uint8_t* qs = block.qs + 32 * (sub / 2);
    for (int i = 0; i < 32; ++i) {
      qs[i] = static_cast<uint8_t>(sub % 2 == 0 ? q[i] & 15 : qs[i] | ((q[i] & 15) << 4));
      block.qh[i] = static_cast<uint8_t>(block.qh[i] | ((q[i] >> 4) << sub));
    }
  }
  return super.fits;
}

bool encode_q6_k(const float* values, uint8_t* data) {
  auto& block = *reinterpret_cast<BlockQ6K*>(data);
  int scales[16];
  const bool fits = fit_symmetric_super(values, 32, 128, block.d, scales);
  const float d = load_f16(block.d);
  std::fill(std::begin(block.ql), std::end(block.ql), uint8_t{0});
  std::fill(std::begin(block.qh), std::end(block.qh), uint8_t{0});
  for (int sub = 0; sub < 16; ++sub) {
    block.scales[sub] = static_cast<int8_t>(scales[sub]);
    uint8_t q[16];
    round_symmetric(values + 16 * sub, 16, d * static_cast<float>(scales[sub]), 32, q);
    const int half = sub / 8, quarter = sub % 8 / 2, offset = 16 * (sub % 2);
    uint8_t* ql = block.ql + 64 * half + 32 * (quarter % 2) + offset;
    uint8_t* qh = block.qh + 32 * half + offset;
    for (int i = 0; i < 16; ++i) {
      ql[i] = static_cast<uint8_t>(ql[i] | ((q[i] & 15) << (4 * (quarter / 2))));
      qh[i] = static_cast<uint8_t>(qh[i] | ((q[i] >> 4) << (2 * quarter)));
    }
  }
  return fits;
}

}  // namespace citius::quant
