// What is to be made better, and the work by which it is timed.
#pragma once

#include <string>
#include <string_view>

#include "eval/speed.h"
#include "models/model.h"

namespace citius {

/// kLatency: one sequence at a time. kThroughput: many at once. kMemory: the bytes of the weights; time is measured as for
/// latency, and does not decide.
enum class Goal { kLatency, kThroughput, kMemory };

/// Throws Error{kUsage} for a name that is none of latency, throughput and memory.
Goal parse_goal(std::string_view name);

/// One round: new tokens after a prompt (language models), sequences of one length (encoders).
Workload goal_workload(const ModelConfig& config, Goal goal);
/// The same in words.
std::string describe(const Workload& workload);
/// "faster" or "smaller".
std::string_view better_word(Goal goal);

}  // namespace citius
