// Metrics and intervals against numpy (tests/golden/metrics/make.py), and the properties that a budget leans on.
#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "base/rng.h"
#include "metrics/classification.h"
#include "metrics/distribution.h"
#include "metrics/statistics.h"

namespace citius {
namespace {

// Doubles that went through two orders of summation of fewer than 100 terms.
constexpr double kTolerance = 1e-12;

class Metrics : public ::testing::Test {
 protected:
  json::value golden_ = read_json(std::string(CITIUS_TEST_DIR) + "/golden/metrics/metrics.json");

  template <typename T>
  std::vector<T> list(std::string_view key) const {
    std::vector<T> result;
    for (const json::value& value : golden_.at(key).as_array()) result.push_back(value.to_number<T>());
    return result;
  }
  double number(std::string_view key) const { return golden_.at(key).to_number<double>(); }
  void expect_estimate(const Estimate& estimate, std::string_view key) const {
    const std::vector<double> expected = list<double>(key);
    EXPECT_NEAR(estimate.value, expected[0], kTolerance);
    EXPECT_NEAR(estimate.low, expected[1], kTolerance);
    EXPECT_NEAR(estimate.high, expected[2], kTolerance);
  }
};

TEST_F(Metrics, StudentT) {
  for (const json::value& pair : golden_.at("t95").as_array()) {
    EXPECT_NEAR(student_t(pair.at(0).to_number<int64_t>()), pair.at(1).to_number<double>(), 1e-9);
  }
}

TEST_F(Metrics, MoreConfidenceIsWider) {
  EXPECT_NEAR(student_t(7, 0.975), 2.841244, 1e-6);  // scipy.stats.t.ppf(0.9875, 7)
  const std::vector<double> items{1, 2, 4, 7}, trials{10, 10, 10, 10};
  const Estimate usual = mean_estimate(items), sure = mean_estimate(items, 0.975);
  EXPECT_EQ(sure.value, usual.value);
  EXPECT_NEAR((sure.high - sure.value) / (usual.high - usual.value), student_t(3, 0.975) / student_t(3), kTolerance);
  EXPECT_LT(share_estimate(trials, trials, 0.975).low, share_estimate(trials, trials).low);
}

TEST_F(Metrics, MeanAndRatio) {
  expect_estimate(mean_estimate(list<double>("items")), "mean");
  expect_estimate(ratio_estimate(list<double>("top"), list<double>("bottom")), "ratio");
}

TEST_F(Metrics, Distributions) {
  const std::vector<float> p = list<float>("p"), q = list<float>("q");
  EXPECT_NEAR(kl_divergence(p, q), number("kl"), kTolerance);
  EXPECT_EQ(kl_divergence(p, p), 0);
  std::vector<float> broken(p.begin(), p.end());
  broken[0] = std::nanf("");
  EXPECT_TRUE(std::isnan(kl_divergence(p, broken)));  // never the best score
  EXPECT_NEAR(log_softmax_at(p, 7), number("log_softmax_7"), kTolerance);
  EXPECT_EQ(argmax(p), static_cast<int64_t>(number("argmax")));
  EXPECT_NEAR(cosine(p, q), number("cosine"), kTolerance);
  const std::vector<float> zero(p.size(), 0.0f);
  EXPECT_EQ(cosine(p, zero), 0);
  EXPECT_EQ(cosine(zero, zero), 1);
}

TEST_F(Metrics, ArgmaxIsTheFirstOfTheLargest) {
  for (const size_t size : {1UL, 15UL, 16UL, 1023UL, 1024UL, 1025UL, 5000UL}) {
    for (const size_t at : {0UL, size / 2, size - 1}) {
      std::vector<float> values(size, -3.0f);
      values[0] = -INFINITY;
      values[at] = values[size - 1] = 2;
      EXPECT_EQ(argmax(values), static_cast<int64_t>(at)) << size;
    }
    EXPECT_EQ(argmax(std::vector<float>(size, -INFINITY)), 0);
  }
}

TEST_F(Metrics, KlSurvivesExcludedTokens) {
  const std::vector<float> p = {0, -INFINITY, 1}, q = {0.5f, -3, 1};
  EXPECT_TRUE(std::isfinite(kl_divergence(p, q)));
  EXPECT_EQ(kl_divergence(q, p), INFINITY);  // the other model excludes what the reference allows
}

TEST_F(Metrics, Quantiles) {
  const std::vector<double> values = list<double>("values");
  for (const json::value& pair : golden_.at("quantiles").as_array()) {
    EXPECT_NEAR(quantile(values, pair.at(0).to_number<double>()), pair.at(1).to_number<double>(), kTolerance);
  }
}

TEST_F(Metrics, Classification) {
  const std::vector<int32_t> predicted = list<int32_t>("predicted"), expected = list<int32_t>("expected");
  EXPECT_NEAR(accuracy(predicted, expected), number("accuracy"), kTolerance);
  EXPECT_NEAR(macro_f1(predicted, expected), number("macro_f1"), kTolerance);
  EXPECT_NEAR(spearman(list<double>("a"), list<double>("b")), number("spearman"), kTolerance);
}

TEST(Statistics, PerfectAgreementStillHasDoubt) {
  const std::vector<double> successes(8, 10.0), trials(8, 10.0);
  const Estimate share = share_estimate(successes, trials);
  EXPECT_EQ(share.value, 1);
  // Wilson with p = 1: n / (n + z²).
  EXPECT_NEAR(share.low, 80 / (80 + 1.959963984540054 * 1.959963984540054), 1e-9);
  EXPECT_EQ(share.high, 1);
}

TEST(Statistics, OneItemClaimsNothing) {
  const Estimate one = mean_estimate(std::vector<double>{0.01});
  EXPECT_EQ(one.high, INFINITY);
  EXPECT_EQ(one.low, -INFINITY);
}

// The interval covers the truth in 95 % of repetitions. 1000 repetitions: standard error 0.7 %, so ±3 %.
TEST(Statistics, MeanIntervalCovers) {
  int covered = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    const CounterRng rng(seed, 5);
    std::vector<double> items;
    for (uint64_t i = 0; i < 12; ++i) items.push_back(4 + rng.normal(i));
    const Estimate estimate = mean_estimate(items);
    covered += estimate.low <= 4 && 4 <= estimate.high ? 1 : 0;
  }
  EXPECT_NEAR(covered, 950, 30);
}

TEST(Statistics, SpeedupIsPairedAndRepeatable) {
  std::vector<double> base, candidate;
  const CounterRng rng(3);
  for (uint64_t i = 0; i < 15; ++i) {
    base.push_back(2.0 + 0.2 * rng.uniform(i));
    candidate.push_back(1.0 + 0.1 * rng.uniform(100 + i));
  }
  const Estimate speedup = speedup_estimate(base, candidate, 1);
  EXPECT_GT(speedup.low, 1.8);
  EXPECT_LT(speedup.high, 2.2);
  EXPECT_LE(speedup.low, speedup.value);
  EXPECT_GE(speedup.high, speedup.value);
  const Estimate again = speedup_estimate(base, candidate, 1);
  EXPECT_EQ(speedup.low, again.low);
  EXPECT_EQ(speedup.high, again.high);
}

}  // namespace
}  // namespace citius
