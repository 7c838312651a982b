// Means, ratios and medians with intervals, as pure functions. Quality is measured over items (windows of text,
// sentences) that are independent of one another while the tokens inside one are not, so an item is the unit of every
// interval. Means and ratios of sums get Student's t interval: it is exact enough from about eight items on, needs no
// random numbers and its width is easy to check by hand. Medians of timings have no such formula (they are not smooth,
// and timings have a long right tail), so they get a percentile bootstrap with a fixed seed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace citius {

/// Of every interval for which no other is asked.
inline constexpr double kConfidence = 0.95;

/// A value and the bounds of its two-sided interval.
struct Estimate {
  double value = 0;
  double low = 0;
  double high = 0;
};

/// Two-sided quantile of Student's t with `degrees` degrees of freedom (1 or more).
double student_t(int64_t degrees, double confidence = kConfidence);

/// Mean of independent items. One item alone gives an infinite interval; no item is a programmer error.
Estimate mean_estimate(std::span<const double> items, double confidence = kConfidence);

/// Σ numerator / Σ denominator over items of different size (tokens): the linearised ratio estimator (Cochran 1977,
/// eq. 6.13). With equal denominators it is mean_estimate of the quotients.
Estimate ratio_estimate(std::span<const double> numerators, std::span<const double> denominators, double confidence = kConfidence);

/// A share of successes over items of different size: ratio_estimate, widened to Wilson's interval (Wilson 1927) over the
/// single trials where that is wider. Without it, items that all succeed would claim an interval of width zero.
Estimate share_estimate(std::span<const double> successes, std::span<const double> trials, double confidence = kConfidence);

/// exp of an estimate (log-perplexity to perplexity). An infinite interval, which claims nothing, stays infinite at both ends.
Estimate exp_estimate(const Estimate& estimate);

/// Linear interpolation between order statistics, as numpy.percentile does; `share` in [0, 1].
double quantile(std::span<const double> values, double share);
double median(std::span<const double> values);

/// median(base) / median(candidate) of times taken in the same rounds: how many times faster the candidate is. Rounds are
/// resampled as pairs, so that what slowed a whole round cancels. Equal lengths.
Estimate speedup_estimate(std::span<const double> base, std::span<const double> candidate, uint64_t seed = 0);

}  // namespace citius
