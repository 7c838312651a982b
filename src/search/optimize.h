// The closed loop: measures a model, makes candidates of it, measures each beside it, and chooses the fastest that keeps
// within the accuracy budget. What it learns goes to a Report; the package of the choice is written last.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backend/packed_weight.h"
#include "search/budget.h"
#include "search/candidate.h"
#include "search/items.h"

namespace citius {

struct OptimizeOptions {
  std::filesystem::path model;
  std::filesystem::path out;       // the package's directory; must not exist, or be a package (which is replaced)
  std::string goal = "latency";    // latency, throughput or memory
  std::string budget;              // empty: the default of the kind of model
  std::vector<std::string> texts;  // empty: none were given
  bool plain = false;              // the one text is a whole file, not a row of a table
  uint64_t seed = 0;
  double max_seconds = 180;  // no candidate is begun that would not be done, verified and written by then; short on time, a
                             // language model samples fewer windows. Reference and base are measured whatever it is
  int num_threads = 0;
  std::string isa;
  Compute compute = Compute::kFast;  // in which candidates run; quality is always against kExact
  double race_seconds = 1.5;         // for each side of a comparison of speed; up to five times that where it stays unclear
  int64_t num_windows = 16;          // language models: windows to choose by, and as many to verify
};

/// The choice measured on items that were not used to choose.
struct Verification {
  bool passed = false;
  std::string candidate;
  double confidence = kConfidence;  // of the intervals of `quality`
  Estimate speedup;
  std::optional<Estimate> other_speedup;  // where measurements of the speed disagree, the greatest; `speedup` is the least
  double units_per_s = 0;                 // at `speedup`, as Candidate has it
  Quality quality;
  size_t num_items = 0;
  std::string reason;  // where it did not pass
};

struct Report {
  std::string model;  // path as given
  std::string architecture;
  std::string goal;
  std::string budget;
  std::string data;  // what was judged on
  uint64_t seed = 0;
  bool language_model = false;
  std::string workload;  // what a round is, in words
  Compute compute = Compute::kFast;
  std::string unit;  // "tokens" or "sequences"
  size_t num_choose = 0;
  double seconds = 0;
  Candidate base;
  bool base_misses = false;  // its estimates miss the budget, not only the bounds of their intervals
  std::vector<Candidate> candidates;
  int chosen = -1;  // index in candidates; -1: the base
  std::vector<Verification> verifications;
  std::vector<std::pair<int64_t, double>> sensitivity;  // of layers, to the coarsest format tried
  bool written = true;                                  // false: the package that was there is kept
  json::object machine;
  json::object versions;

  bool changed() const { return chosen >= 0; }
  /// What there is to say of a base that did not pass.
  const char* base_verdict() const {
    return base_misses ? "misses the budget itself" : "may miss the budget itself, more items (--max-time, --data) would tell";
  }
  const Candidate& choice() const { return chosen >= 0 ? candidates[static_cast<size_t>(chosen)] : base; }
};

/// What there is to say where measurements of the speed disagree; empty otherwise.
std::string speed_doubt(const Verification& verification);

/// Called with what is being done and the share of that step that is done.
using OnStep = std::function<void(const std::string& step, double share)>;

/// Runs the loop and writes the package, report.json and report.html to options.out. Interrupted, the next call with the
/// same model, options and machine goes on from the measurements kept in `<out>.partial`. A package that is there is replaced
/// only by what was measured and meets the budget. Throws Error, also where that package is of another model.
Report optimize(const OptimizeOptions& options, const OnStep& on_step = {});

json::object report_json(const Report& report);

/// The report as one page that needs no network.
std::string report_html(const Report& report);

}  // namespace citius
