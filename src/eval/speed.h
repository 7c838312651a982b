// Speed of models: several contestants take turns in one process, so that whatever slows the machine for a while slows all
// of them, and medians over the rounds are compared. A round of a contestant is one workload from beginning to end.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "eval/language_model.h"
#include "eval/machine.h"
#include "runtime/encoder.h"

namespace citius {

struct Workload {
  enum class Kind { kPrefill, kDecode, kEncode };
  Kind kind = Kind::kPrefill;
  int64_t batch = 1;             // sequences at once
  int64_t length = 128;          // tokens of a prompt or an encoder's input; for kDecode: new tokens of a sequence. Of an
                                 // encoder the body alone is run, without pooling or a task's head
  int64_t prompt = 1;            // kDecode: tokens before the first new one (not timed)
  std::vector<int64_t> lengths;  // kEncode: a round encodes sequences of all these lengths, `batch` at once; empty: one
                                 // batch of `length`

  /// Lengths of the sequences of every batch of a round.
  std::vector<std::vector<int64_t>> batches() const;
};

std::string_view kind_name(Workload::Kind kind);  // "prefill", "decode", "encode"

/// Pseudo-random token ids; a stream always gives the same ones.
std::vector<int32_t> random_tokens(int64_t count, int64_t vocab, uint64_t stream);

/// Throws where the model does not take sequences of so many tokens.
void check_length(const Engine& engine, int64_t tokens, ErrorKind kind = ErrorKind::kUsage);

/// What memory gave while something was measured, in bytes a second; 0 where it was not asked.
struct ReadLimit {
  double plain = 0;  // by plain loads
  double best = 0;   // in the best way
};

/// What one round took.
struct Round {
  double seconds = 0;
  ReadLimit reads;                // the larger of just before and just after
  std::vector<double> latencies;  // seconds of every step: a decoded token (of the whole batch), a prefill, an encoded batch
};

/// Runs one workload on one engine, again and again. Tokens are pseudo-random and the same in every round.
class SpeedRunner {
 public:
  /// Throws where the model cannot run the workload (too long, no language-model head), Error{kResource} where the memory is not to be had.
  static std::unique_ptr<SpeedRunner> make(Engine& engine, const Workload& workload);
  virtual ~SpeedRunner() = default;
  virtual Round run() = 0;
  const Workload& workload() const { return workload_; }
  /// Tokens (kPrefill, kDecode) that a round processes; sequences for kEncode.
  double units() const;

 protected:
  explicit SpeedRunner(Workload workload) : workload_(std::move(workload)) {}
  Workload workload_;
};

struct SpeedOptions {
  double seconds = 2;   // time to spend on each contestant, at least
  int64_t repeats = 5;  // rounds of each, at least
  // Asked around every round, which takes no part in `seconds`: memory of virtual machines is twice as fast from one second to the next.
  ReadMeter* reads = nullptr;
};

/// The rounds of every contestant in the order they were run; after one unmeasured round of each. All have the same
/// number of rounds, and round i of one ran beside round i of the others; who begins a round changes from round to round.
std::vector<std::vector<Round>> measure_interleaved(std::span<SpeedRunner* const> contestants, const SpeedOptions& options,
                                                    const OnProgress& progress = {});

/// Seconds of every round.
std::vector<double> round_seconds(std::span<const Round> rounds);
/// The median over the rounds of the share of the best read rate beside it that a round of so many bytes reached; nullopt without one.
std::optional<double> share_of_reads(std::span<const Round> rounds, double bytes);
/// Medians over the rounds.
ReadLimit middle_reads(std::span<const Round> rounds);
/// All latencies of all rounds in milliseconds.
std::vector<double> latencies_ms(std::span<const Round> rounds);

}  // namespace citius
