// What becomes of measured candidates: which pass, which of them is the fastest, and whether it holds on held-out items.
#pragma once

#include <functional>
#include <vector>

#include "search/optimize.h"

namespace citius {

/// A candidate must be faster than the base by more than the noise of the clock itself.
inline constexpr double kLeastSpeedup = 1.01;

/// Fills in whether a measured candidate passes, and what speaks against it.
void judge(Candidate& candidate, const Budget& budget, Goal goal);

/// Indices of the candidates that may be chosen, fastest first.
std::vector<size_t> ranking(const std::vector<Candidate>& candidates);

/// Measures a candidate on the held-out items, its quality with intervals of this confidence. Whether it passed is not
/// asked of it.
using Measure = std::function<Verification(const FormatPlan& plan, double confidence)>;
/// Measures its speed alone, once more.
using Race = std::function<Estimate(const FormatPlan& plan)>;

/// Verifies the fastest, then those that follow, three at most, until one passes, and sets `chosen` and the reasons of all
/// others. The first is always verified, the next ones while not `out_of_time`.
///
/// Where the interval of its speed does not overlap the one that it was chosen by, it races again, twice at most and while not
/// `out_of_time`. Where the last still does not, the least of the speeds is what is claimed.
///
/// Those that follow meet items that have rejected another. So that the chance of choosing one that misses the budget stays
/// at 5 % in all, the one-sided error of 2.5 % that a 95 % interval leaves the first is joined by 1.25 % for each of the
/// two others (Bonferroni): intervals of 97.5 %.
void choose_and_verify(Report& report, const Budget& budget, const Measure& measure, const Race& race,
                       const std::function<bool()>& out_of_time);

}  // namespace citius
