// Progress of a command that has several steps, each a share of something: one bar at a time.
#pragma once

#include <memory>
#include <string>

#include "base/progress.h"
#include "base/signal.h"

namespace citius::cli {

class StepProgress {
 public:
  /// Throws Error{kInterrupted} where the user asked to stop.
  void operator()(const std::string& step, double share) {
    check_interrupted();
    if (bar_ == nullptr || step != step_) {
      bar_.reset();
      bar_ = std::make_unique<Progress>(step, kTicks, ProgressUnit::kShare);
      step_ = step;
    }
    bar_->update(static_cast<uint64_t>(share * kTicks));
  }

  /// Takes the bar away, before results are printed.
  void clear() { bar_.reset(); }

 private:
  static constexpr uint64_t kTicks = 1000;
  std::unique_ptr<Progress> bar_;
  std::string step_;
};

}  // namespace citius::cli
