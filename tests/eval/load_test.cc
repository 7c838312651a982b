// Load on a fake clock: arrivals, latencies, percentiles, and the highest rate of servers whose capacity is known.
#include "eval/load.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <stdexcept>

namespace citius {
namespace {

// Time passes only where somebody waits or works.
struct FakeTime {
  double now_s = 1000;
  LoadClock clock() {
    return {[this] { return now_s; },
            [this](double seconds) {
              ASSERT_GT(seconds, 0);
              now_s += std::max(seconds, 1e-9);  // less would be lost in rounding
            }};
  }
};

// Gives each of the first `batch` waiting requests a token in `step_s`.
class FakeServer : public LoadServer {
 public:
  FakeServer(FakeTime& time, std::span<const LoadRequest> requests, size_t batch, double step_s)
      : time_(time), requests_(requests), batch_(batch), step_s_(step_s), tokens_(requests.size()) {}
  void submit(size_t request) override { active_.push_back(request); }
  bool idle() const override { return active_.empty(); }
  std::vector<size_t> step() override {
    time_.now_s += step_s_;
    std::vector<size_t> got;
    std::deque<size_t> left;
    for (size_t i = 0; i < active_.size(); ++i) {
      if (i < batch_) got.push_back(active_[i]);
      if (i >= batch_ || ++tokens_[active_[i]] < requests_[active_[i]].reply_tokens) left.push_back(active_[i]);
    }
    active_ = left;
    most_ = std::max(most_, got.size());
    return got;
  }
  size_t most() const { return most_; }

 private:
  FakeTime& time_;
  std::span<const LoadRequest> requests_;
  size_t batch_;
  double step_s_;
  std::vector<int64_t> tokens_;
  std::deque<size_t> active_;
  size_t most_ = 0;
};

std::vector<LoadRequest> requests_at(const std::vector<double>& arrivals, int64_t reply, int64_t prompt = 10) {
  std::vector<LoadRequest> requests;
  for (double arrival : arrivals) requests.push_back({arrival, {{requests.size(), prompt}}, reply});
  return requests;
}

TEST(Arrivals, ConstantOnesAreEvenlySpaced) { EXPECT_EQ(constant_arrivals(4, 8), (std::vector<double>{0, 0.125, 0.25, 0.375})); }

TEST(Arrivals, PoissonGapsAreExponentialAndAFunctionOfTheSeed) {
  constexpr int64_t kCount = 40001;
  constexpr double kRate = 5;
  const std::vector<double> arrivals = poisson_arrivals(kCount, kRate, 7);
  ASSERT_EQ(std::ssize(arrivals), kCount);
  EXPECT_EQ(arrivals[0], 0);
  double sum = 0, squares = 0;
  int64_t beyond = 0;
  for (size_t i = 1; i < arrivals.size(); ++i) {
    const double gap = arrivals[i] - arrivals[i - 1];
    ASSERT_GE(gap, 0);
    sum += gap;
    squares += gap * gap;
    beyond += gap > 1 / kRate ? 1 : 0;
  }
  // Of n exponential gaps of mean m: the mean has the deviation m/√n, the mean square (2m²) √20 m²/√n, and a share 1/e is longer
  // than m, with the deviation √(e⁻¹(1 − e⁻¹)/n). Five deviations.
  const double n = kCount - 1, mean = 1 / kRate, share = std::exp(-1.0);
  EXPECT_NEAR(sum / n, mean, 5 * mean / std::sqrt(n));
  EXPECT_NEAR(squares / n, 2 * mean * mean, 5 * std::sqrt(20.0) * mean * mean / std::sqrt(n));
  EXPECT_NEAR(static_cast<double>(beyond) / n, share, 5 * std::sqrt(share * (1 - share) / n));
  EXPECT_EQ(poisson_arrivals(kCount, kRate, 7), arrivals);
  EXPECT_NE(poisson_arrivals(kCount, kRate, 8), arrivals);
  // Another rate stretches the same gaps; fewer requests are the first of more.
  const std::vector<double> slower = poisson_arrivals(100, kRate / 4, 7);
  for (size_t i = 0; i < slower.size(); ++i) EXPECT_NEAR(slower[i], arrivals[i] * 4, 1e-9);
}

TEST(Load, LatenciesCountFromTheTimeARequestWasDue) {
  FakeTime time;
  const auto requests = requests_at({0, 0.5, 10}, 3);
  FakeServer server(time, requests, 8, 1.0);
  const auto times = run_load(requests, server, time.clock());
  // Steps end at 1, 2, 3, 4; the second request is seen at 1, after the step during which it came. The third comes to an idle server.
  EXPECT_DOUBLE_EQ(times[0].ttft_s(), 1);
  EXPECT_DOUBLE_EQ(times[0].e2el_s(), 3);
  EXPECT_DOUBLE_EQ(times[1].ttft_s(), 1.5);
  EXPECT_DOUBLE_EQ(times[1].e2el_s(), 3.5);
  EXPECT_NEAR(times[2].ttft_s(), 1, 1e-9);
  for (const RequestTimes& seen : times) {
    EXPECT_TRUE(seen.done);
    EXPECT_EQ(seen.tokens, 3);
    EXPECT_DOUBLE_EQ(*seen.tpot_s(), 1);
  }
  const LoadReport report = report_load(requests, times, {});
  EXPECT_EQ(report.requests, 3);
  EXPECT_EQ(report.completed, 3);
  EXPECT_EQ(report.prompt_tokens, 30);
  EXPECT_EQ(report.reply_tokens, 9);
  EXPECT_NEAR(report.duration_s, 13, 1e-9);
  EXPECT_NEAR(report.requests_per_s, 3.0 / 13, 1e-9);
  EXPECT_NEAR(report.drain_s, 3, 1e-9);
  EXPECT_NEAR(report.prompt_tokens_per_s, 30.0 / 13, 1e-9);
  EXPECT_NEAR(report.output_tokens_per_s, 9.0 / 13, 1e-9);
  EXPECT_NEAR(report.total_tokens_per_s, 39.0 / 13, 1e-9);
  EXPECT_NEAR(report.ttft_ms->p50, 1000, 1e-6);
  EXPECT_NEAR(report.ttft_ms->p90, 1400, 1e-6);  // between 1000 and 1500, four fifths of the way
  EXPECT_NEAR(report.tpot_ms->p99, 1000, 1e-6);
  EXPECT_TRUE(report.limits_kept);
}

TEST(Load, OneByOneNeverQueues) {
  FakeTime time;
  const auto requests = requests_at({0, 0, 0, 0}, 2);
  FakeServer server(time, requests, 8, 0.5);
  const auto times = run_load(requests, server, time.clock(), {.one_by_one = true});
  EXPECT_EQ(server.most(), 1);
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_DOUBLE_EQ(times[i].arrival_s, static_cast<double>(i));
    EXPECT_DOUBLE_EQ(times[i].e2el_s(), 1);
  }
}

TEST(Load, AnEncodersRequestsHaveOneResultAndNoTokens) {
  FakeTime time;
  const auto requests = requests_at({0, 0, 0}, 0);
  FakeServer server(time, requests, 2, 0.5);
  const LoadReport report = report_load(requests, run_load(requests, server, time.clock()), {});
  EXPECT_EQ(report.completed, 3);
  EXPECT_EQ(report.reply_tokens, 0);
  EXPECT_DOUBLE_EQ(report.duration_s, 1);
  EXPECT_DOUBLE_EQ(report.total_tokens_per_s, 30);
  EXPECT_FALSE(report.tpot_ms);
  EXPECT_DOUBLE_EQ(report.e2el_ms->p50, 500);
}

TEST(Load, LimitsAndGoodput) {
  FakeTime time;
  std::vector<double> arrivals(200, 0);
  const auto requests = requests_at(arrivals, 1);
  FakeServer server(time, requests, 1, 0.01);  // request i waits 10 (i + 1) ms
  const auto times = run_load(requests, server, time.clock());
  EXPECT_TRUE(report_load(requests, times, {.ttft_ms = 1991, .tpot_ms = 1e-9, .e2el_ms = 1991}).limits_kept);  // p99 is 1980.1 ms
  EXPECT_FALSE(report_load(requests, times, {.ttft_ms = 1980}).limits_kept);
  const LoadReport half = report_load(requests, times, {.e2el_ms = 1000.5});
  EXPECT_FALSE(half.limits_kept);
  EXPECT_NEAR(half.goodput, 100 / 2.0, 1e-9);
}

TEST(Load, ARateIsSustainedWhereNoQueueIsLeft) {
  const LatencyLimits limits{.e2el_ms = 5000};
  const auto report = [&](int64_t count, double rate) {
    FakeTime time;
    const auto requests = requests_at(constant_arrivals(count, rate), 1);
    FakeServer server(time, requests, 1, 0.1);  // 10 requests/s
    return report_load(requests, run_load(requests, server, time.clock(), {.stop_beyond = limits}), limits);
  };
  EXPECT_TRUE(report(20, 9).sustained);
  // Twenty requests wait two seconds at most, however fast they come; four are too few to tell anything.
  EXPECT_TRUE(report(20, 40).limits_kept);
  EXPECT_FALSE(report(20, 40).sustained);
  EXPECT_NEAR(report(20, 40).drain_s, 2 - 19 / 40.0, 1e-6);
  EXPECT_TRUE(report(4, 9).limits_kept);
  EXPECT_FALSE(report(4, 9).sustained);
  EXPECT_FALSE(report(1000, 40).sustained);  // stopped before the end
}

TEST(Load, StopsOnceALimitIsLost) {
  for (const int64_t count : {1, 2, 50, 100, 101, 250, 1000}) {
    SCOPED_TRACE(count);
    // The first `late` requests miss the limit, and what comes after keeps it.
    for (int64_t late = 0; late <= std::min<int64_t>(count, 15); ++late) {
      std::vector<double> arrivals;
      for (int64_t i = 0; i < count; ++i) arrivals.push_back(i < late ? 0 : 100.0 + static_cast<double>(i));
      const auto requests = requests_at(arrivals, 1);
      const LatencyLimits limits{.ttft_ms = 0.5};  // whoever comes at 0 waits for the server's first step, 1 ms
      struct : LoadServer {
        FakeTime* time;
        std::deque<size_t> waiting;
        void submit(size_t request) override { waiting.push_back(request); }
        bool idle() const override { return waiting.empty(); }
        std::vector<size_t> step() override {
          time->now_s += time->now_s < 1050 ? 1e-3 : 1e-6;
          const size_t first = waiting.front();
          waiting.pop_front();
          return {first};
        }
      } server;
      FakeTime time;
      server.time = &time;
      const auto whole = report_load(requests, run_load(requests, server, time.clock()), limits);
      FakeTime again;
      server.time = &again;
      server.waiting.clear();
      const auto stopped = report_load(requests, run_load(requests, server, again.clock(), {.stop_beyond = limits}), limits);
      EXPECT_EQ(whole.completed, count);
      EXPECT_EQ(stopped.limits_kept, whole.limits_kept) << late;
      if (whole.limits_kept) {
        EXPECT_EQ(stopped.completed, count);
      }
      if (late >= 12 && count > 12) {
        EXPECT_LE(stopped.completed, 12);
      }
    }
  }
}

TEST(Load, ProgressMayEndIt) {
  FakeTime time;
  const auto requests = requests_at({0, 50}, 1);
  FakeServer server(time, requests, 1, 1);
  LoadOptions options;
  options.progress = [&](double share) {
    EXPECT_TRUE(share == 0 || share == 0.5);
    if (time.now_s > 1020) throw std::runtime_error("enough");
  };
  EXPECT_THROW(run_load(requests, server, time.clock(), options), std::runtime_error);
  EXPECT_LT(time.now_s, 1021);  // looked at while it waits, too
}

double search(double capacity, const LatencyLimits& limits, size_t batch, double step_s, int64_t count, int* trials = nullptr) {
  return highest_rate(capacity, [&](double rate) {
    if (trials != nullptr) ++*trials;
    FakeTime time;
    const auto requests = requests_at(constant_arrivals(count, rate), 1);
    FakeServer server(time, requests, batch, step_s);
    const auto times = run_load(requests, server, time.clock(), {.stop_beyond = limits});
    return report_load(requests, times, limits).limits_kept;
  });
}

TEST(HighestRate, FindsTheCapacityOfAServer) {
  // One request at a time, 0.1 s each: at up to 10 requests/s none waits, beyond the queue grows by 0.1 − 1/rate with each.
  const LatencyLimits limits{.e2el_ms = 150};
  int trials = 0;
  const double rate = search(37, limits, 1, 0.1, 2000, &trials);
  EXPECT_LE(rate, 10.01);  // 2000 requests at more: the 1980th waits over 50 ms
  EXPECT_GE(rate, 10 / 1.05);
  EXPECT_LE(trials, 10);
  // A wider server: 8 at once.
  const double wide = search(100, {.e2el_ms = 250}, 8, 0.1, 2000);
  EXPECT_LE(wide, 80.1);
  EXPECT_GE(wide, 80 / 1.05);
}

TEST(HighestRate, IsTheCapacityOrNothingAtTheEnds) {
  EXPECT_DOUBLE_EQ(search(9, {.e2el_ms = 150}, 1, 0.1, 500), 9);
  EXPECT_EQ(search(9, {.e2el_ms = 50}, 1, 0.1, 500), 0);
}

}  // namespace
}  // namespace citius
