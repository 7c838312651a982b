// Load: requests that arrive at given times, a server that answers them, and what each of them waited. Plain bookkeeping
// without tensors; time is given as functions, so that tests do not sleep. Names are those of the field: time to first
// token (TTFT), time per output token after the first (TPOT) and end-to-end latency (E2EL), all counted from the time a
// request was due, so that waiting in a queue is part of them; one by one, offline and Poisson arrivals are SingleStream,
// Offline and Server of MLPerf's LoadGen.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace citius {

/// The first `tokens` tokens of a stream. The same stream gives the same tokens: requests share what they begin alike.
struct PromptPart {
  uint64_t stream = 0;
  int64_t tokens = 0;
};

struct LoadRequest {
  double arrival_s = 0;
  std::vector<PromptPart> prompt;
  int64_t reply_tokens = 0;  // how many it gets, no fewer; 0 for an encoder, whose result comes at once

  int64_t prompt_tokens() const;
};

/// Times of arrival at `rate` requests per second, the first at 0. Poisson: gaps are exponential, a function of the seed.
std::vector<double> constant_arrivals(int64_t count, double rate);
std::vector<double> poisson_arrivals(int64_t count, double rate, uint64_t seed);

/// Whoever answers requests, known by their index.
class LoadServer {
 public:
  virtual ~LoadServer() = default;
  virtual void submit(size_t request) = 0;
  virtual bool idle() const = 0;
  /// One step of the work that was submitted: the requests that got a token (or an encoder's result) by it, each once.
  virtual std::vector<size_t> step() = 0;
};

struct LoadClock {
  std::function<double()> now;           // seconds
  std::function<void(double)> wait_for;  // seconds
};
LoadClock real_clock();

/// What a request saw, in seconds since the run began.
struct RequestTimes {
  double arrival_s = 0;
  double first_s = 0;  // first token
  double last_s = 0;   // last token so far
  int64_t tokens = 0;  // or results
  bool done = false;

  double ttft_s() const { return first_s - arrival_s; }
  /// None where there is one token only.
  std::optional<double> tpot_s() const;
  double e2el_s() const { return last_s - arrival_s; }
};

/// Limits of the 99th percentile, in milliseconds; absent: none.
struct LatencyLimits {
  std::optional<double> ttft_ms, tpot_ms, e2el_ms;

  bool any() const { return ttft_ms || tpot_ms || e2el_ms; }
  /// Whether one request alone is within all of them.
  bool met_by(const RequestTimes& times) const;
};

struct LoadOptions {
  bool one_by_one = false;  // arrival times are not looked at: each request comes when the one before has ended
  /// The run stops once so many requests missed these that their 99th percentiles cannot be kept any more.
  LatencyLimits stop_beyond;
  std::function<void(double share)> progress;  // of the requests that ended; may throw
};

/// Runs all requests, given by time of arrival.
std::vector<RequestTimes> run_load(std::span<const LoadRequest> requests, LoadServer& server, const LoadClock& clock,
                                   const LoadOptions& options = {});

struct Percentiles {
  double p50 = 0, p90 = 0, p99 = 0;
};

/// What all requests of a run that ended saw.
struct LoadReport {
  int64_t requests = 0, completed = 0;
  int64_t prompt_tokens = 0, reply_tokens = 0;  // of the completed ones
  double duration_s = 0;                        // first arrival to last token
  double drain_s = 0;                           // last arrival to last token
  double requests_per_s = 0, prompt_tokens_per_s = 0, output_tokens_per_s = 0, total_tokens_per_s = 0;
  std::optional<Percentiles> ttft_ms, tpot_ms, e2el_ms;  // over requests; none where no request has one
  double goodput = 0;                                    // requests per second that met all limits, each by itself
  bool limits_kept = true;                               // all requests ended, and the 99th percentiles are within the limits
  /// Whether requests came for so long that a queue would have shown: all ended, and draining took at most kDrainShare of the
  /// time during which they came. What is at work at once takes about the latency of one request to drain, so n requests
  /// show a rate at which up to n / 5 are at work at once.
  bool sustained = false;
};
inline constexpr double kDrainShare = 0.2;
LoadReport report_load(std::span<const LoadRequest> requests, std::span<const RequestTimes> times, const LatencyLimits& limits);

/// The highest rate up to `capacity` that `keeps` the limits, to 5 %; 0 where not even a 64th of the capacity does.
/// `capacity` is what the server does with everything there at once: no higher rate can last.
double highest_rate(double capacity, const std::function<bool(double rate)>& keeps);

}  // namespace citius
