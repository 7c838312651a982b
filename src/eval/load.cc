#include "eval/load.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "base/check.h"
#include "base/rng.h"
#include "metrics/statistics.h"

namespace citius {
namespace {

constexpr double kKeptShare = 0.99;

std::optional<Percentiles> percentiles_of(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  return Percentiles{quantile(values, 0.5), quantile(values, 0.9), quantile(values, kKeptShare)};
}

bool within(const std::optional<Percentiles>& percentiles, const std::optional<double>& limit) {
  return !limit || !percentiles || percentiles->p99 <= *limit;
}

// How many of `count` values above a limit put their 99th percentile above it for sure: those from the order statistic
// below it on.
int64_t misses_that_decide(int64_t count) { return count - static_cast<int64_t>(std::floor(kKeptShare * static_cast<double>(count - 1))); }

// Requests that missed each of the limits.
class Misses {
 public:
  Misses(const LatencyLimits& limits, int64_t count) : limits_(limits), enough_(misses_that_decide(count)) {}

  void add(const RequestTimes& times) {
    LatencyLimits only[3];
    only[0].ttft_ms = limits_.ttft_ms;
    only[1].tpot_ms = limits_.tpot_ms;
    only[2].e2el_ms = limits_.e2el_ms;
    for (size_t i = 0; i < 3; ++i) misses_[i] += only[i].met_by(times) ? 0 : 1;
  }
  bool decide() const {
    return std::any_of(std::begin(misses_), std::end(misses_), [&](int64_t misses) { return misses >= enough_; });
  }

 private:
  LatencyLimits limits_;
  int64_t enough_;
  int64_t misses_[3] = {};
};

}  // namespace

int64_t LoadRequest::prompt_tokens() const {
  int64_t sum = 0;
  for (const PromptPart& part : prompt) sum += part.tokens;
  return sum;
}

std::vector<double> constant_arrivals(int64_t count, double rate) {
  CHECK(rate > 0);
  std::vector<double> arrivals;
  for (int64_t i = 0; i < count; ++i) arrivals.push_back(static_cast<double>(i) / rate);
  return arrivals;
}

std::vector<double> poisson_arrivals(int64_t count, double rate, uint64_t seed) {
  CHECK(rate > 0);
  const CounterRng rng(seed);
  std::vector<double> arrivals;
  double time = 0;
  for (int64_t i = 0; i < count; ++i) {
    arrivals.push_back(time);
    time += -std::log(1 - rng.uniform(static_cast<uint64_t>(i))) / rate;
  }
  return arrivals;
}

LoadClock real_clock() {
  const auto begin = std::chrono::steady_clock::now();
  return {[begin] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); },
          [](double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }};
}

std::optional<double> RequestTimes::tpot_s() const {
  if (tokens < 2) return std::nullopt;
  return (last_s - first_s) / static_cast<double>(tokens - 1);
}

bool LatencyLimits::met_by(const RequestTimes& times) const {
  const auto met = [](const std::optional<double>& limit, std::optional<double> seconds) {
    return !limit || !seconds || *seconds * 1e3 <= *limit;
  };
  return met(ttft_ms, times.ttft_s()) && met(tpot_ms, times.tpot_s()) && met(e2el_ms, times.e2el_s());
}

std::vector<RequestTimes> run_load(std::span<const LoadRequest> requests, LoadServer& server, const LoadClock& clock,
                                   const LoadOptions& options) {
  constexpr double kLongestWait = 0.1;  // seconds, so that progress (and Ctrl-C) is looked at
  std::vector<RequestTimes> times(requests.size());
  Misses misses(options.stop_beyond, std::ssize(requests));
  const double begin = clock.now();
  const auto now = [&] { return clock.now() - begin; };
  size_t next = 0, done = 0;
  while (done < requests.size() && !misses.decide()) {
    if (options.progress) options.progress(static_cast<double>(done) / static_cast<double>(requests.size()));
    const double time = now();
    const auto is_due = [&] { return options.one_by_one ? server.idle() : requests[next].arrival_s <= time; };
    for (; next < requests.size() && is_due(); ++next) {
      times[next].arrival_s = options.one_by_one ? time : requests[next].arrival_s;
      server.submit(next);
    }
    if (server.idle()) {
      clock.wait_for(std::min(kLongestWait, requests[next].arrival_s - time));
      continue;
    }
    const std::vector<size_t> got = server.step();
    const double after = now();
    for (size_t request : got) {
      RequestTimes& seen = times[request];
      CHECK(!seen.done);
      if (seen.tokens++ == 0) seen.first_s = after;
      seen.last_s = after;
      if (seen.tokens < requests[request].reply_tokens) continue;  // one result ends an encoder's
      seen.done = true;
      ++done;
      misses.add(seen);
    }
  }
  return times;
}

LoadReport report_load(std::span<const LoadRequest> requests, std::span<const RequestTimes> times, const LatencyLimits& limits) {
  CHECK(requests.size() == times.size());
  LoadReport report;
  std::vector<double> ttft, tpot, e2el;
  int64_t good = 0;
  double first = INFINITY, latest = 0, last = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    ++report.requests;
    if (!times[i].done) continue;
    ++report.completed;
    report.prompt_tokens += requests[i].prompt_tokens();
    report.reply_tokens += requests[i].reply_tokens;
    ttft.push_back(times[i].ttft_s() * 1e3);
    if (const auto seconds = times[i].tpot_s()) tpot.push_back(*seconds * 1e3);
    e2el.push_back(times[i].e2el_s() * 1e3);
    good += limits.met_by(times[i]) ? 1 : 0;
    first = std::min(first, times[i].arrival_s);
    latest = std::max(latest, times[i].arrival_s);
    last = std::max(last, times[i].last_s);
  }
  report.ttft_ms = percentiles_of(ttft);
  report.tpot_ms = percentiles_of(tpot);
  report.e2el_ms = percentiles_of(e2el);
  report.limits_kept = report.completed == report.requests && within(report.ttft_ms, limits.ttft_ms) &&
                       within(report.tpot_ms, limits.tpot_ms) && within(report.e2el_ms, limits.e2el_ms);
  if (last > first) {
    report.duration_s = last - first;
    report.drain_s = last - latest;
    report.sustained = report.completed == report.requests && report.drain_s <= kDrainShare * (latest - first);
    report.requests_per_s = static_cast<double>(report.completed) / report.duration_s;
    report.prompt_tokens_per_s = static_cast<double>(report.prompt_tokens) / report.duration_s;
    report.output_tokens_per_s = static_cast<double>(report.reply_tokens) / report.duration_s;
    report.total_tokens_per_s = static_cast<double>(report.prompt_tokens + report.reply_tokens) / report.duration_s;
    report.goodput = static_cast<double>(good) / report.duration_s;
  }
  return report;
}

double highest_rate(double capacity, const std::function<bool(double rate)>& keeps) {
  constexpr double kPrecision = 1.05, kLeast = 64;
  if (keeps(capacity)) return capacity;
  double low = capacity / 2, high = capacity;
  while (!keeps(low)) {
    high = low;
    low /= 2;
    if (low < capacity / kLeast) return 0;
  }
  while (high / low > kPrecision) {
    const double middle = std::sqrt(low * high);
    (keeps(middle) ? low : high) = middle;
  }
  return low;
}

}  // namespace citius
