// Transcendental functions on vectors of 16 lanes, to about one unit in the last place (erf: three). The polynomials interpolate
// at the Chebyshev points of their interval, fitted in double precision; the stated errors are theirs.
#pragma once

#include <stdint.h>

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// first · xⁿ + ... + last, by Horner's rule.
template <typename... Rest>
inline F32x16 polynomial(F32x16 x, float first, Rest... rest) {
  F32x16 sum = set_f32(first);
  ((sum = fma(sum, x, set_f32(rest))), ...);
  return sum;
}

/// exp(x): 0 below -104, infinity above 88.72. NaN stays NaN: min and max give their second operand then.
inline F32x16 exp(F32x16 x) {
  x = min(set_f32(89.5f), max(set_f32(-105.0f), x));
  const F32x16 n = round_even(x * set_f32(1.44269504f));
  // ln 2 in two parts, the first short enough that n · ln2_high is exact.
  const F32x16 r = fnma(n, set_f32(-2.12194440e-4f), fnma(n, set_f32(0.693359375f), x));
  // (e^r - 1 - r) / r² on |r| ≤ ln 2 / 2, error 1.4e-9
  F32x16 p = polynomial(r, 1.989927841e-4f, 1.393364510e-3f, 8.333298378e-3f, 4.166646674e-2f, 1.666666716e-1f, 0.5f);
  p = fma(p, r * r, r) + set_f32(1.0f);
  // 2^n in two factors, because n = 128 and n below -126 have no fp32 of their own.
  const F32x16 half = round_even(n * set_f32(0.5f));
  const I32x16 bias = set_i32(127);
  const F32x16 first = as_f32(shift_left<23>(to_i32(half) + bias));
  const F32x16 second = as_f32(shift_left<23>(to_i32(n - half) + bias));
  return p * first * second;
}

inline F32x16 copy_sign(F32x16 magnitude, F32x16 sign) {
  const I32x16 bit = set_i32(static_cast<int32_t>(0x80000000));
  return as_f32(as_i32(magnitude) | (as_i32(sign) & bit));
}

/// x P(x²) / Q(x²) on [-3.94, 3.94], beyond which erf is ±1. P/Q errs by 2e-8, its rounding by 3e-7, relative. A single
/// formula without an exponential: a third of the operations that two intervals with one take.
inline F32x16 erf(F32x16 x) {
  const F32x16 s = x * x;
  const F32x16 p = polynomial(s, 2.033871851e-6f, 2.847226860e-4f, 3.793276381e-3f, 5.283090472e-2f, 1.911544651e-1f, 1.128379107f);
  const F32x16 q = polynomial(s, 3.791593190e-5f, 1.167800627e-3f, 1.502503734e-2f, 1.144030988e-1f, 5.027389526e-1f, 1.0f);
  return select(less(set_f32(3.94f), abs(x)), copy_sign(set_f32(1.0f), x), x * p / q);
}

inline F32x16 tanh(F32x16 x) {
  const F32x16 t = abs(x);
  const F32x16 s = x * x;
  // (tanh(x) / x - 1) / x² in x² up to 0.4, error 1.8e-9
  F32x16 small = polynomial(s, 2.272704849e-3f, -8.326401934e-3f, 2.176363394e-2f, -5.395862460e-2f, 1.333330125e-1f, -3.333333433e-1f);
  small = fma(small * s, x, x);
  const F32x16 one = set_f32(1.0f);
  const F32x16 large = one - set_f32(2.0f) / (exp(t + t) + one);
  const F32x16 result = select(less(t, set_f32(0.625f)), small, copy_sign(large, x));
  return select(unordered(x), x, result);
}

/// 1 / (1 + e^-x).
inline F32x16 sigmoid(F32x16 x) {
  const F32x16 one = set_f32(1.0f);
  return one / (one + exp(zero_f32() - x));
}

inline F32x16 gelu(F32x16 x) {
  const F32x16 half = x * set_f32(0.5f);
  return fma(half, erf(x * set_f32(0.70710678f)), half);
}

inline F32x16 gelu_tanh(F32x16 x) {
  const F32x16 inner = set_f32(0.79788456f) * fma(x * x * x, set_f32(0.044715f), x);
  const F32x16 half = x * set_f32(0.5f);
  return fma(half, tanh(inner), half);
}

/// To bf16, in the high half of each lane, whose low half may hold anything: to nearest even; NaN stays NaN.
inline I32x16 round_high(F32x16 x) {
  const I32x16 bits = as_i32(x);
  const I32x16 odd = shift_right<16>(bits) & set_i32(1);
  return select(unordered(x), bits | set_i32(0x400000), bits + set_i32(0x7fff) + odd);
}
/// The same in the low half, the high one being zero.
inline I32x16 round_to_bf16(F32x16 x) { return shift_right<16>(round_high(x)); }

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
