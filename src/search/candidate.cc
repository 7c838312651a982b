#include "search/candidate.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace citius {
namespace {

// JSON has no infinity: an interval that says nothing is null at that end.
json::value number_or_null(double value) { return std::isfinite(value) ? json::value(value) : json::value(nullptr); }

double number_from(const json::value& value, double fallback) { return value.is_number() ? value.to_number<double>() : fallback; }

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
  for (const auto& [layer, format] : plan.layers) layers[std::to_string(layer)] = format ? format_name(*format) : "as given";
  object["lookup"] = plan.lookup ? format_name(*plan.lookup) : "as given";
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
  const auto measured = [&](json::value value) { return candidate.measured ? std::move(value) : json::value(nullptr); };
  const auto share = [](double value) { return value > 0 ? json::value(value) : json::value(nullptr); };
  object["speedup"] = measured(candidate.speedup.value);
  object["speedup_interval"] = measured(interval_json(candidate.speedup));
  json::object quality, intervals;
  for (const auto& [name, estimate] : candidate.quality) {
    quality[name] = number_or_null(estimate.value);
    intervals[name] = interval_json(estimate);
  }
  object["quality"] = std::move(quality);
  object["quality_interval"] = std::move(intervals);
  object["items"] = candidate.num_items;
  object["passed"] = candidate.passed;
  object["reason"] = candidate.reason;
  object["weight_bytes"] = measured(candidate.weight_bytes);
  object["round_ms"] = measured(candidate.median_ms);
  object["latency_ms"] = measured(json::object{{"p50", candidate.p50_ms}, {"p90", candidate.p90_ms}, {"p99", candidate.p99_ms}});
  object["units_per_s"] = measured(candidate.units_per_s);
  object["round_bytes"] = measured(candidate.round_bytes);
  object["round_operations"] = measured(candidate.round_operations);
  object["share_of_bandwidth"] = share(candidate.share_of_bandwidth);
  object["share_of_peak"] = share(candidate.share_of_peak);
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
    candidate.quality[std::string(item.key())] = estimate_from(quality.get_number(item.key()), intervals.get_array(item.key()), where);
  }
  candidate.num_items = static_cast<size_t>(std::max<int64_t>(0, entry.get_int("items")));
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

namespace {

// Where arithmetic or the passage of weights decides: few bits first for decoding, which reads every weight for a token;
// the kinds with the fastest products first for encoders.
constexpr Format kDecoderBodies[] = {Format::kInt4G32, Format::kInt8G32,   Format::kInt4ZG32, Format::kInt4G128, Format::kInt8,
                                     Format::kInt4G64, Format::kInt4ZG128, Format::kInt8G128, Format::kInt8G64,  Format::kInt4ZG64};
constexpr Format kEncoderBodies[] = {Format::kInt8,    Format::kInt7,     Format::kInt8G128, Format::kInt8G32, Format::kInt8G64,
                                     Format::kInt4G32, Format::kInt4G128, Format::kInt4ZG32, Format::kBF16,    Format::kF16};
// Where bytes decide: fewest first.
constexpr Format kSmallBodies[] = {Format::kQ3K,     Format::kInt4G128, Format::kIQ4XS,    Format::kInt4ZG128, Format::kInt4G64,
                                   Format::kInt4G32, Format::kIQ4NL,    Format::kInt4ZG32, Format::kQ4K,       Format::kQ5K,
                                   Format::kQ6K,     Format::kInt8,     Format::kInt8G128, Format::kInt8G32,   Format::kBF16};

std::span<const Format> bodies_of(const CandidateSpace& space) {
  if (space.goal == Goal::kMemory) return kSmallBodies;
  if (space.language_model) return kDecoderBodies;
  return kEncoderBodies;
}

}  // namespace

std::vector<FormatPlan> uniform_plans(const CandidateSpace& space) {
  constexpr int64_t kCols = 1024;  // a multiple of every block
  std::vector<FormatPlan> plans;
  const bool memory = space.goal == Goal::kMemory;
  for (Format body : bodies_of(space)) {
    const double bits = format_bits_per_weight(body, kCols);
    // What is no smaller cannot win by bytes. Decoding is bound by them too, but a finer format's kernel may need so much
    // less arithmetic that int8-g32 is worth a try; bf16 and f16 are not.
    if (std::find(space.stored.begin(), space.stored.end(), body) != space.stored.end() && space.stored.size() == 1) continue;
    if (memory && bits >= space.bits_per_weight) continue;
    if (space.language_model && !memory && bits > space.bits_per_weight && body != Format::kInt8G32) continue;
    FormatPlan plan = plan_of_name(format_name(body));
    if (!space.language_model) plan.output = std::nullopt;
    if (plan.output && format_bits_per_weight(*plan.output, kCols) >= space.output_bits) plan.output = std::nullopt;
    if (memory) plan.lookup = bits < 8 ? Format::kInt8G32 : body;
    plans.push_back(std::move(plan));
  }
  if (!space.language_model) return plans;
  // A body of few bits loses much where it is rounded a second time: what leaves it alone comes first.
  auto place = space.bits_per_weight < 8 ? plans.begin() : plans.end();
  for (Format output : {Format::kInt8G32, Format::kQ6K, Format::kInt4ZG32}) {
    if (format_bits_per_weight(output, kCols) >= space.output_bits) continue;
    place = plans.insert(place, plan_of(fmt::format("body as given, output {}", format_name(output)), std::nullopt, output)) + 1;
  }
  if (space.bits_per_weight > 16 && !memory) plans.push_back(plan_of("bf16", Format::kBF16, Format::kBF16));
  return plans;
}

std::vector<FormatPlan> mixed_plans(const FormatPlan& coarse, const FormatPlan& finer, std::span<const int64_t> ranking,
                                    int64_t num_layers) {
  std::vector<FormatPlan> plans;
  if (num_layers < 2) return plans;
  const auto with = [&](std::string_view which, std::span<const int64_t> layers) {
    FormatPlan plan = coarse;
    plan.name = fmt::format("{}, {} {}", coarse.name, which, finer.body ? format_name(*finer.body) : "as given");
    if (finer.output) plan.output = finer.output;
    for (int64_t layer : layers) plan.layers[layer] = finer.body;
    plans.push_back(std::move(plan));
  };
  const int64_t ends[] = {0, num_layers - 1};
  for (const auto& [share, words] : {std::pair(4, "most sensitive quarter"), std::pair(2, "most sensitive half")}) {
    const auto count = static_cast<size_t>((num_layers + share - 1) / share);
    if (ranking.size() >= count) with(words, ranking.first(count));
  }
  with("first and last layer", ends);
  with("first layer", std::span(ends).first(1));
  with("last layer", std::span(ends).last(1));
  return plans;
}

}  // namespace citius
