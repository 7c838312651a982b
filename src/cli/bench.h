// What the two forms of `bench` share: workloads repeated over and over (bench.cc), and scenarios, in which requests come
// at times of their own (bench_scenarios.cc).
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "cli/step_progress.h"
#include "compress/format_plan.h"
#include "eval/load.h"
#include "runtime/engine.h"

namespace citius::cli {

struct ScenarioArgs {
  std::string name;  // empty: no scenario
  std::optional<int64_t> requests, prefix;
  std::optional<double> rate;
  LatencyLimits limits;
  std::string trace;
  std::optional<double> speedup;
  int64_t context = 0;
  std::optional<uint64_t> seed;
  bool no_prefix_cache = false;
};

struct BenchArgs {
  std::string model, isa, compute = "fast";
  std::optional<KvType> kv_type;
  std::vector<int64_t> prefill, decode, batch, length, threads;
  std::string lengths_file;
  std::vector<std::string> formats;
  double seconds = 2;
  int64_t repeats = 5;
  ScenarioArgs scenario;
  bool json = false;
};

// One engine of the comparison.
struct Contestant {
  std::string format;
  Engine engine;
};

/// The numbers of a file with one a line. Throws Error{kInput} with the number of a line that is none.
std::vector<int64_t> read_lengths(const std::string& path);
/// The machine with this engine's threads, which becomes a fact of all rows: "machines" has one of each number of threads in their order,
/// "machine" the first; "digest" is the model's, with --json.
json::object note_machine(const BenchArgs& args, Engine& engine, json::object& facts);
/// The model in `format`, as given where empty. `target` is filled by the first call and used by the next.
Engine open_format(const BenchArgs& args, int threads, const std::string& format, std::optional<PlanTarget>& target);
/// The format that most of the layers' weights have.
std::string given_format(const Engine& engine);

/// What is measured row by row: fills in the facts that are true of all rows (the machine), and gives each row when it is done.
using MeasureRows = std::function<void(json::object& facts, const std::function<void(json::object row)>& give)>;
/// Prints the rows, as lines of a table under `header` as they come, or with --json in one object at the end, also where Ctrl-C
/// ends the work early. All rows.
json::array report_rows(const BenchArgs& args, const std::string& header, const std::function<std::string(const json::object& row)>& text,
                        StepProgress& progress, const MeasureRows& measure);

/// Adds --scenario, which is returned, and the options that go with it.
CLI::Option* add_scenario_options(CLI::App& command, ScenarioArgs& args);
void run_scenarios(const BenchArgs& args);

}  // namespace citius::cli
