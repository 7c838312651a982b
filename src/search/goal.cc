#include "search/goal.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace citius {

Goal parse_goal(std::string_view name) {
  if (name == "latency") return Goal::kLatency;
  if (name == "throughput") return Goal::kThroughput;
  if (name == "memory") return Goal::kMemory;
  fail(ErrorKind::kUsage, "goal", "got '{}', expected latency, throughput or memory", name);
}

Workload goal_workload(const ModelConfig& config, Goal goal) {
  const bool many = goal == Goal::kThroughput;
  Workload workload;
  if (config.causal) {
    workload.kind = Workload::Kind::kDecode;
    workload.batch = many ? 16 : 1;
    workload.prompt = std::min<int64_t>(128, config.max_positions / 2);
    workload.length = std::min<int64_t>(many ? 8 : 32, config.max_positions - workload.prompt);
  } else {
    workload.kind = Workload::Kind::kEncode;
    workload.batch = many ? 32 : 1;
    workload.length = std::min<int64_t>(128, config.max_positions);
  }
  return workload;
}

std::string describe(const Workload& workload) {
  const std::string sequences = workload.batch == 1 ? "one sequence" : fmt::format("{} sequences at once", workload.batch);
  if (workload.kind == Workload::Kind::kEncode) return fmt::format("{} of {} tokens", sequences, workload.length);
  return fmt::format("{} new tokens of {} after a prompt of {}", workload.length, sequences, workload.prompt);
}

std::string_view better_word(Goal goal) { return goal == Goal::kMemory ? "smaller" : "faster"; }

}  // namespace citius
