#include "metrics/statistics.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/rng.h"

namespace citius {
namespace {

// Resamples of a bootstrap. 2000 put the error of a 2.5 % percentile near 0.35 % of rank.
constexpr int kResamples = 2000;

Estimate around(double value, double half_width) { return {value, value - half_width, value + half_width}; }

}  // namespace

double student_t(int64_t degrees, double confidence) {
  CHECK(degrees >= 1 && confidence > 0 && confidence < 1);
  return boost::math::quantile(boost::math::students_t(static_cast<double>(degrees)), (1 + confidence) / 2);
}

Estimate mean_estimate(std::span<const double> items, double confidence) {
  const std::vector<double> ones(items.size(), 1.0);
  return ratio_estimate(items, ones, confidence);
}

Estimate ratio_estimate(std::span<const double> numerators, std::span<const double> denominators, double confidence) {
  CHECK(!numerators.empty() && numerators.size() == denominators.size());
  const auto n = static_cast<double>(numerators.size());
  double top = 0, bottom = 0;
  for (size_t i = 0; i < numerators.size(); ++i) {
    top += numerators[i];
    bottom += denominators[i];
  }
  CHECK(bottom > 0);
  const double ratio = top / bottom;
  if (numerators.size() == 1) return around(ratio, std::numeric_limits<double>::infinity());
  double squares = 0;
  for (size_t i = 0; i < numerators.size(); ++i) {
    const double residual = numerators[i] - ratio * denominators[i];
    squares += residual * residual;
  }
  const double mean_bottom = bottom / n;
  const double error = std::sqrt(squares / (n - 1) / n) / mean_bottom;
  return around(ratio, student_t(static_cast<int64_t>(numerators.size()) - 1, confidence) * error);
}

Estimate share_estimate(std::span<const double> successes, std::span<const double> trials, double confidence) {
  Estimate estimate = ratio_estimate(successes, trials, confidence);
  double n = 0;
  for (double count : trials) n += count;
  const double z = boost::math::quantile(boost::math::normal(), (1 + confidence) / 2);
  const double p = estimate.value, z2 = z * z;
  const double center = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = z / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  estimate.low = std::max(0.0, std::min(estimate.low, center - half));
  estimate.high = std::min(1.0, std::max(estimate.high, center + half));
  return estimate;
}

Estimate exp_estimate(const Estimate& estimate) {
  const double low = std::isfinite(estimate.low) ? std::exp(estimate.low) : estimate.low;
  return {std::exp(estimate.value), low, std::exp(estimate.high)};
}

double quantile(std::span<const double> values, double share) {
  CHECK(!values.empty() && share >= 0 && share <= 1);
  std::vector<double> parted(values.begin(), values.end());
  const double rank = share * static_cast<double>(parted.size() - 1);
  const auto below = parted.begin() + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(parted.begin(), below, parted.end());
  const double low = *below, high = below + 1 == parted.end() ? low : *std::min_element(below + 1, parted.end());
  return low + (rank - std::floor(rank)) * (high - low);
}

double median(std::span<const double> values) { return quantile(values, 0.5); }

Estimate speedup_estimate(std::span<const double> base, std::span<const double> candidate, uint64_t seed) {
  CHECK(!base.empty() && base.size() == candidate.size());
  const CounterRng rng(seed);
  const size_t n = base.size();
  std::vector<double> ratios, b(n), c(n);
  uint64_t draw = 0;
  for (int resample = 0; resample < kResamples; ++resample) {
    for (size_t i = 0; i < n; ++i) {
      const auto pick = std::min(n - 1, static_cast<size_t>(rng.uniform(draw++) * static_cast<double>(n)));
      b[i] = base[pick];
      c[i] = candidate[pick];
    }
    ratios.push_back(median(b) / median(c));
  }
  return {median(base) / median(candidate), quantile(ratios, 0.025), quantile(ratios, 0.975)};
}

}  // namespace citius
