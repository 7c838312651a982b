// report.json: the facts of a search, for scripts.
#include "search/optimize.h"

namespace citius {
namespace {

json::object verification_json(const Verification& verification) {
  json::object object;
  object["candidate"] = verification.candidate;
  object["passed"] = verification.passed;
  object["items"] = verification.num_items;
  object["confidence"] = verification.confidence;
  object["speedup"] = verification.speedup.value;
  object["speedup_interval"] = interval_json(verification.speedup);
  if (verification.passed) object["units_per_s"] = verification.units_per_s;
  object["speed_disagrees"] = verification.other_speedup.has_value();
  if (verification.other_speedup) {
    object["other_speedup"] = verification.other_speedup->value;
    object["other_speedup_interval"] = interval_json(*verification.other_speedup);
  }
  json::object quality, intervals;
  for (const auto& [name, estimate] : verification.quality) {
    quality[name] = estimate.value;
    intervals[name] = interval_json(estimate);
  }
  object["quality"] = std::move(quality);
  object["quality_interval"] = std::move(intervals);
  object["reason"] = verification.reason;
  return object;
}

}  // namespace

json::object report_json(const Report& report) {
  json::object object;
  object["changed"] = report.changed();
  object["written"] = report.written;
  object["model"] = report.model;
  object["architecture"] = report.architecture;
  object["goal"] = report.goal;
  object["budget"] = report.budget;
  object["workload"] = report.workload;
  object["compute"] = compute_name(report.compute);
  object["unit"] = report.unit;
  object["data"] = report.data;
  object["items_to_choose"] = report.num_choose;
  object["seed"] = report.seed;
  object["search_seconds"] = report.seconds;
  object["base"] = to_json(report.base);
  object["chosen"] = to_json(report.choice());
  json::array candidates;
  for (const Candidate& candidate : report.candidates) candidates.push_back(to_json(candidate));
  object["candidates"] = std::move(candidates);
  object["verified"] = nullptr;
  json::array tries;
  for (const Verification& verification : report.verifications) {
    if (verification.passed) object["verified"] = verification_json(verification);
    tries.push_back(verification_json(verification));
  }
  object["verifications"] = std::move(tries);
  json::array sensitivity;
  for (const auto& [layer, harm] : report.sensitivity) sensitivity.push_back(json::object{{"layer", layer}, {"harm", harm}});
  object["sensitivity"] = std::move(sensitivity);
  object["machine"] = report.machine;
  object["versions"] = report.versions;
  return object;
}

}  // namespace citius
