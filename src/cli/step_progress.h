// Progress of a command that has several steps, each a share of something: one bar at a time.
#pragma once

#include <chrono>
#include <string>

#include "base/progress.h"
#include "base/signal.h"

namespace citius::cli {

class StepProgress {
 public:
  /// `seconds`: for all steps together, where that is known; what is left of it is then said with each step.
  explicit StepProgress(double seconds = 0) : seconds_(seconds) {}

  /// Throws Error{kInterrupted} where the user asked to stop.
  void operator()(const std::string& step, double share) {
    check_interrupted();
    const auto done = static_cast<uint64_t>(share * kTicks);
    if (step != step_) {
      bar_.begin(step, done);  // a step is often heard of when its first part is done, and nobody knows since when
      step_ = step;
    }
    if (seconds_ > 0) {
      const double gone = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
      bar_.set_note(gone < seconds_ ? "in all " + format_duration(seconds_ - gone) + " left" : "over time, finishing what is always done");
    }
    bar_.update(done);
  }

  /// Takes the bar away, before results are printed.
  void clear() { bar_.wipe(); }

 private:
  static constexpr uint64_t kTicks = 1000;
  double seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::string step_;
  Progress bar_{"", kTicks, ProgressUnit::kShare};
};

}  // namespace citius::cli
