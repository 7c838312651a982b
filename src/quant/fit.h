// Scale searches behind the K- and IQ-encoders: several trial scales round the values to codes, a weighted least-squares
// step gives the best scale for those codes, and the trial with the smallest weighted error wins.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace citius::quant {

/// x ~ scale * q - minimum, minimum >= 0, q in [0, top].
struct AffineFit {
  float scale = 0;
  float minimum = 0;
};

inline int round_clamped(float value, int low, int high) {
  return static_cast<int>(std::nearbyint(std::clamp(value, static_cast<float>(low), static_cast<float>(high))));
}

/// Fits x [count <= 32] with weights w. Trials divide the range into top + first, top + first + step, ... parts.
inline AffineFit fit_affine(const float* x, const float* w, int count, int top, float first, float step, int trials) {
  float low = 0, high = x[0];  // a positive minimum cannot be expressed
  for (int i = 0; i < count; ++i) {
    low = std::min(low, x[i]);
    high = std::max(high, x[i]);
  }
  if (high <= low) return {0, -low};
  AffineFit best;
  double best_error = -1;
  for (int trial = -1; trial < trials; ++trial) {
    const float parts = static_cast<float>(top) + (trial < 0 ? 0 : first + step * static_cast<float>(trial));
    const float inverse = parts / (high - low);
    double sum_w = 0, sum_x = 0, sum_q = 0, sum_qq = 0, sum_xq = 0, sum_xx = 0;
    for (int i = 0; i < count; ++i) {
      const double q = round_clamped(inverse * (x[i] - low), 0, top), weight = w[i], value = x[i];
      sum_w += weight;
      sum_x += weight * value;
      sum_q += weight * q;
      sum_qq += weight * q * q;
      sum_xq += weight * value * q;
      sum_xx += weight * value * value;
    }
    const double determinant = sum_w * sum_qq - sum_q * sum_q;
    if (determinant <= 0) continue;
    double scale = (sum_w * sum_xq - sum_x * sum_q) / determinant;
    double offset = (sum_qq * sum_x - sum_q * sum_xq) / determinant;
    if (offset > 0) {
      offset = 0;
      scale = sum_xq / sum_qq;
    }
    if (scale <= 0) continue;
    const double error =
        sum_xx + scale * scale * sum_qq + offset * offset * sum_w - 2 * scale * sum_xq - 2 * offset * sum_x + 2 * scale * offset * sum_q;
    if (best_error < 0 || error < best_error) {
      best_error = error;
      best = {static_cast<float>(scale), static_cast<float>(-offset)};
    }
  }
  if (best_error < 0) best = {(high - low) / static_cast<float>(top), -low};
  return best;
}

/// The scale with x ~ scale * code(x / scale), for codes symmetric about zero but for one more on the negative side: the
/// value of largest magnitude is mapped near `lowest` (negative). `code` rounds a scaled value to the nearest code's value.
/// Weights are x^2: large weights of a model matter most where nothing is known about its activations.
template <typename Code>
float fit_symmetric(const float* x, int count, float lowest, float step, int trials, const Code& code) {
  float extreme = 0;
  for (int i = 0; i < count; ++i) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  if (std::fabs(extreme) < 1e-30f) return 0;
  float best_scale = extreme / lowest;
  double best_gain = -1;
  for (int trial = -trials; trial <= trials; ++trial) {
    const float inverse = (lowest + step * static_cast<float>(trial)) / extreme;
    double sum_xq = 0, sum_qq = 0;
    for (int i = 0; i < count; ++i) {
      const double q = code(inverse * x[i]), weight = static_cast<double>(x[i]) * x[i];
      sum_xq += weight * x[i] * q;
      sum_qq += weight * q * q;
    }
    if (sum_qq <= 0) continue;
    const double gain = sum_xq * sum_xq / sum_qq;  // by how much the weighted error falls
    if (gain > best_gain) {
      best_gain = gain;
      best_scale = static_cast<float>(sum_xq / sum_qq);
    }
  }
  return best_scale;
}

}  // namespace citius::quant
