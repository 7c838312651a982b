#include "metrics/distribution.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace citius {
namespace {

struct LogSum {
  double maximum;
  double log_sum;  // ln Σ exp(x - maximum)
  double total() const { return maximum + log_sum; }
};

LogSum log_sum_exp_of(std::span<const float> logits) {
  CHECK(!logits.empty());
  const double maximum = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit) - maximum);
  return {maximum, std::log(sum)};
}

}  // namespace

double kl_divergence(std::span<const float> reference, std::span<const float> other) {
  CHECK(reference.size() == other.size());
  const double reference_total = log_sum_exp_of(reference).total(), other_total = log_sum_exp_of(other).total();
  double kl = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - reference_total;
    const double p = std::exp(log_p);
    if (p > 0) kl += p * (log_p - (other[i] - other_total));
  }
  return kl < 0 ? 0 : kl;  // rounding; what is not a number stays visible
}

double log_softmax_at(std::span<const float> logits, int64_t index) {
  CHECK(index >= 0 && static_cast<size_t>(index) < logits.size());
  return logits[static_cast<size_t>(index)] - log_sum_exp_of(logits).total();
}

int64_t argmax(std::span<const float> values) {
  CHECK(!values.empty());
  // Compilers make vectors of many maxima side by side, not of one with its index: a block is searched when it holds the largest.
  constexpr size_t kLanes = 16, kBlock = 1024;
  float most = values[0];
  size_t best = 0;
  for (size_t begin = 0; begin < values.size(); begin += kBlock) {
    const std::span<const float> block = values.subspan(begin, std::min(kBlock, values.size() - begin));
    float lanes[kLanes];
    std::fill(lanes, lanes + kLanes, most);
    size_t i = 0;
    for (; i + kLanes <= block.size(); i += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) lanes[lane] = lanes[lane] < block[i + lane] ? block[i + lane] : lanes[lane];
    }
    for (; i < block.size(); ++i) lanes[0] = std::max(lanes[0], block[i]);
    const float largest = *std::max_element(lanes, lanes + kLanes);
    if (!(largest > most)) continue;
    most = largest;
    best = begin;
  }
  const auto is_largest = [&](float value) { return !(value < most); };  // also where all is NaN
  return std::find_if(values.begin() + static_cast<std::ptrdiff_t>(best), values.end(), is_largest) - values.begin();
}

double cosine(std::span<const float> a, std::span<const float> b) {
  CHECK(a.size() == b.size());
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += static_cast<double>(a[i]) * b[i];
    aa += static_cast<double>(a[i]) * a[i];
    bb += static_cast<double>(b[i]) * b[i];
  }
  if (aa == 0 || bb == 0) return aa == bb ? 1 : 0;
  return ab / (std::sqrt(aa) * std::sqrt(bb));
}

}  // namespace citius
