#include "metrics/classification.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "base/check.h"

namespace citius {
namespace {

std::vector<double> ranks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return values[i] < values[j]; });
  std::vector<double> result(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = static_cast<double>(begin + end - 1) / 2;
    for (size_t i = begin; i < end; ++i) result[order[i]] = rank;
    begin = end;
  }
  return result;
}

}  // namespace

double accuracy(std::span<const int32_t> predicted, std::span<const int32_t> expected) {
  CHECK(!predicted.empty() && predicted.size() == expected.size());
  size_t hits = 0;
  for (size_t i = 0; i < predicted.size(); ++i) hits += predicted[i] == expected[i] ? 1 : 0;
  return static_cast<double>(hits) / static_cast<double>(predicted.size());
}

double f1_score(std::span<const int32_t> predicted, std::span<const int32_t> expected, int32_t positive) {
  CHECK(predicted.size() == expected.size());
  double both = 0, either = 0;
  for (size_t i = 0; i < predicted.size(); ++i) {
    both += predicted[i] == positive && expected[i] == positive ? 1 : 0;
    either += (predicted[i] == positive ? 1 : 0) + (expected[i] == positive ? 1 : 0);
  }
  return either == 0 ? 0 : 2 * both / either;
}

double macro_f1(std::span<const int32_t> predicted, std::span<const int32_t> expected) {
  std::set<int32_t> classes(predicted.begin(), predicted.end());
  classes.insert(expected.begin(), expected.end());
  CHECK(!classes.empty());
  double sum = 0;
  for (int32_t positive : classes) sum += f1_score(predicted, expected, positive);
  return sum / static_cast<double>(classes.size());
}

double spearman(std::span<const double> a, std::span<const double> b) {
  CHECK(a.size() == b.size() && !a.empty());
  const std::vector<double> ra = ranks(a), rb = ranks(b);
  const double mean = static_cast<double>(a.size() - 1) / 2;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (ra[i] - mean) * (rb[i] - mean);
    aa += (ra[i] - mean) * (ra[i] - mean);
    bb += (rb[i] - mean) * (rb[i] - mean);
  }
  return aa == 0 || bb == 0 ? 0 : ab / std::sqrt(aa * bb);
}

}  // namespace citius
