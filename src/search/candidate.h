// A candidate: a plan of formats, what it measured, and what became of it.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "compress/format_plan.h"
#include "eval/quality.h"
#include "metrics/statistics.h"
#include "search/goal.h"

namespace citius {

struct Candidate {
  FormatPlan plan;
  bool measured = false;
  Estimate speedup;      // over the base, measured in the same rounds
  Quality quality;       // on the items to choose by; empty where it was not worth measuring
  size_t num_items = 0;  // that `quality` is of
  double weight_bytes = 0;
  // Times and rates are brought to the pace that the machine had when the base was measured: they agree with `speedup`.
  double median_ms = 0;                       // of one round
  double p50_ms = 0, p90_ms = 0, p99_ms = 0;  // of a step
  double units_per_s = 0;
  double round_bytes = 0, round_operations = 0;  // what one round must read and do
  double share_of_bandwidth = 0;                 // 0: not measured
  double share_of_peak = 0;
  std::vector<std::string> kernels;  // that multiply by its weights
  bool passed = false;
  std::string reason;  // why it was not chosen; empty for the chosen one
};

json::array interval_json(const Estimate& estimate);
json::object to_json(const Candidate& candidate);
json::object plan_json(const FormatPlan& plan);
/// Back from to_json(candidate), for the journal; the plan is not read back. Throws Error{kInput}.
void read_measurements(const json::object& object, std::string_view where, Candidate& candidate);

/// What can be known of the candidates before anything is measured.
struct CandidateSpace {
  bool language_model = false;
  PlanTarget target;
  Goal goal = Goal::kLatency;
  std::vector<Format> stored;   // formats of the layers' weights as given, most frequent first
  double bits_per_weight = 32;  // mean over the layers as given
  double output_bits = 32;      // of the output layer as given
};

/// Whole-model plans that could be faster than the base, best guess first.
std::vector<FormatPlan> uniform_plans(const CandidateSpace& space);

/// `coarse` with layers kept in the format of `finer`, which may be as given: the first, the last, both, and the most
/// sensitive quarter and half of `ranking` (layers, most sensitive first).
std::vector<FormatPlan> mixed_plans(const FormatPlan& coarse, const FormatPlan& finer, std::span<const int64_t> ranking,
                                    int64_t num_layers);

}  // namespace citius
