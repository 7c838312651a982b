#include "search/candidate.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace citius {
namespace {

// JSON has no infinity: an interval that says nothing is null at that end.
json::value number_or_null(double value) { return std::isfinite(value) ? json::value(value) : json::value(nullptr); }

double number_from(const json::value& value, double fallback) {
  return value.is_number() ? value.to_number<double>() : fallback;
}

Estimate estimate_from(double value, const json::array& bounds, std::string_view where) {
  if (bounds.size() != 2) fail_input(where, "got an interval of {} numbers, expected 2", bounds.size());
  return {value, number_from(bounds[0], -INFINITY), number_from(bounds[1], INFINITY)};
}

FormatPlan plan_of(std::string name, std::optional<Format> body, std::optional<Format> output) {
  FormatPlan plan;
  plan.name = std::move(name);
  plan.body = body;
  plan.output = output;
  return plan;
}

}  // namespace

json::array interval_json(const Estimate& estimate) { return {number_or_null(estimate.low), number_or_null(estimate.high)}; }

json::object plan_json(const FormatPlan& plan) {
  json::object object;
  object["name"] = plan.name;
  object["body"] = plan.body ? json::value(format_name(*plan.body)) : json::value(plan.mix.empty() ? "as given" : plan.mix);
  object["output"] = plan.output ? json::value(format_name(*plan.output)) : json::value(plan.mix.empty() ? "as given" : plan.mix);
  json::object layers;
  for (const auto& [layer, format] : plan.layers) layers[std::to_string(layer)] = format_name(format);
  object["layers"] = std::move(layers);
  json::array keep;
  for (const std::string& pattern : plan.keep) keep.emplace_back(pattern);
  object["keep"] = std::move(keep);
  return object;
}

json::object to_json(const Candidate& candidate) {
  json::object object;
  object["name"] = candidate.plan.name;
  object["formats"] = plan_json(candidate.plan);
  object["measured"] = candidate.measured;
  if (candidate.measured) {
    object["speedup"] = candidate.speedup.value;
    object["speedup_interval"] = interval_json(candidate.speedup);
  } else {
    object["speedup"] = nullptr;
    object["speedup_interval"] = nullptr;
  }
  json::object quality, intervals;
  for (const auto& [name, estimate] : candidate.quality) {
    quality[name] = number_or_null(estimate.value);
    intervals[name] = interval_json(estimate);
  }
  object["quality"] = std::move(quality);
  object["quality_interval"] = std::move(intervals);
  object["passed"] = candidate.passed;
  object["reason"] = candidate.reason;
  object["weight_bytes"] = candidate.weight_bytes;
  object["round_ms"] = candidate.median_ms;
  object["latency_ms"] = json::object{{"p50", candidate.p50_ms}, {"p90", candidate.p90_ms}, {"p99", candidate.p99_ms}};
  object["units_per_s"] = candidate.units_per_s;
  object["round_bytes"] = candidate.round_bytes;
  object["round_operations"] = candidate.round_operations;
  object["share_of_bandwidth"] = candidate.share_of_bandwidth > 0 ? json::value(candidate.share_of_bandwidth) : json::value(nullptr);
  object["share_of_peak"] = candidate.share_of_peak > 0 ? json::value(candidate.share_of_peak) : json::value(nullptr);
  json::array kernels;
  for (const std::string& kernel : candidate.kernels) kernels.emplace_back(kernel);
  object["kernels"] = std::move(kernels);
  return object;
}

void read_measurements(const json::object& object, std::string_view where, Candidate& candidate) {
  const JsonObject entry(object, std::string(where));
  candidate.speedup = estimate_from(entry.get_number("speedup"), entry.get_array("speedup_interval"), where);
  const JsonObject quality = entry.get_object("quality"), intervals = entry.get_object("quality_interval");
  for (const auto& item : quality.object()) {
    candidate.quality[std::string(item.key())] =
        estimate_from(quality.get_number(item.key()), intervals.get_array(item.key()), where);
  }
  candidate.weight_bytes = entry.get_number("weight_bytes");
  candidate.median_ms = entry.get_number("round_ms");
  const JsonObject latency = entry.get_object("latency_ms");
  candidate.p50_ms = latency.get_number("p50");
  candidate.p90_ms = latency.get_number("p90");
  candidate.p99_ms = latency.get_number("p99");
  candidate.units_per_s = entry.get_number("units_per_s");
  candidate.round_bytes = entry.get_number("round_bytes");
  candidate.round_operations = entry.get_number("round_operations");
  candidate.share_of_bandwidth = entry.get_number("share_of_bandwidth", 0);
  candidate.share_of_peak = entry.get_number("share_of_peak", 0);
  candidate.kernels = entry.get_strings("kernels");
  candidate.measured = true;
}

std::vector<FormatPlan> uniform_plans(const CandidateSpace& space) {
  std::vector<FormatPlan> plans;
  const Format given = space.stored.empty() ? Format::kF32 : space.stored.front();
  const auto add = [&](std::string name, Format body, std::optional<Format> output) {
    if (body == given && !(space.language_model && output)) return;
    plans.push_back(plan_of(std::move(name), body, output));
  };
  if (!space.language_model) {
    add("int8", Format::kInt8, std::nullopt);
    add("int8-g128", Format::kInt8G128, std::nullopt);
    add("int4-g32", Format::kInt4G32, std::nullopt);
    if (format_is_float(given)) add("bf16", Format::kBF16, std::nullopt);
    return plans;
  }
  // Finer formats than the file's add nothing but bytes in decoding; they can still win where prefill counts.
  if (space.bits_per_weight > 9) {
    add("int8-g32", Format::kInt8G32, Format::kInt8G32);
    add("int8", Format::kInt8, Format::kInt8);
  }
  if (space.bits_per_weight > 4.6) {
    add("int4-g32", Format::kInt4G32, Format::kInt8G32);
    add("int4z-g32", Format::kInt4ZG32, Format::kInt8G32);
    add("int4-g128", Format::kInt4G128, Format::kInt8G32);
  }
  plans.push_back(plan_of("body as given, output int8-g32", std::nullopt, Format::kInt8G32));
  plans.push_back(plan_of("body as given, output int4z-g32", std::nullopt, Format::kInt4ZG32));
  add("int8-g32 body, output int8-g32", Format::kInt8G32, Format::kInt8G32);
  if (space.bits_per_weight > 9 && format_is_float(given)) add("bf16", Format::kBF16, Format::kBF16);
  // Two names for one plan would be measured twice.
  std::vector<FormatPlan> unique;
  for (FormatPlan& plan : plans) {
    const bool seen = std::any_of(unique.begin(), unique.end(), [&](const FormatPlan& other) {
      return other.body == plan.body && other.output == plan.output;
    });
    if (!seen) unique.push_back(std::move(plan));
  }
  return unique;
}

std::vector<FormatPlan> mixed_plans(const FormatPlan& coarse, const FormatPlan& finer, std::span<const int64_t> ranking,
                                    int64_t num_layers) {
  std::vector<FormatPlan> plans;
  if (!coarse.body || !finer.body || num_layers < 2) return plans;
  const auto with = [&](std::string name, std::vector<int64_t> layers) {
    FormatPlan plan = coarse;
    plan.name = fmt::format("{}, {} {}", coarse.name, name, format_name(*finer.body));
    if (finer.output) plan.output = finer.output;
    for (int64_t layer : layers) plan.layers[layer] = *finer.body;
    plans.push_back(std::move(plan));
  };
  with("first and last layer", {0, num_layers - 1});
  for (const auto& [share, words] : {std::pair(4, "most sensitive quarter"), std::pair(2, "most sensitive half")}) {
    const auto count = static_cast<size_t>((num_layers + share - 1) / share);
    if (ranking.size() < count) continue;
    with(words, std::vector<int64_t>(ranking.begin(), ranking.begin() + static_cast<ptrdiff_t>(count)));
  }
  return plans;
}

}  // namespace citius
