// What a measurement depends on besides the model: the machine, its limits and the versions of what measured.
#pragma once

#include <string>

#include "base/json.h"
#include "runtime/engine.h"
#include "search/optimize.h"

namespace citius {

/// Processor, cores, memory, threads and instruction set in use, measured bandwidth (null where too little memory is left to measure
/// it) and peak rates.
json::object machine_json(Engine& engine);
json::object versions_json();

/// What the machine can do at most with this engine's threads and its most frequent activation format; 0 where unknown.
struct Limits {
  double bytes_per_s = 0;
  double operations_per_s = 0;
};
Limits machine_limits(const json::object& machine, const Engine& engine);

/// What measurements may be reused for: the model (its model_digest), the options that change results, the machine.
std::string journal_key(const OptimizeOptions& options, const std::string& digest, const std::string& budget, const json::object& machine);

/// SHA-256 of the files that make up a model (names and contents), in hexadecimal.
std::string model_digest(const Checkpoint& model);

}  // namespace citius
