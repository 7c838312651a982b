#include "search/environment.h"

#include <algorithm>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/version.h"
#include "eval/machine.h"
#include "eval/work.h"

namespace citius {
namespace {

constexpr double kProbeSeconds = 0.1;  // for each loop; shorter ones catch the clock still rising

std::vector<std::filesystem::path> files_of(const std::filesystem::path& model) {
  if (!std::filesystem::is_directory(model)) return {model};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(model)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

json::object machine_json(Engine& engine) {
  json::object machine = to_json(describe_machine());
  machine["isa"] = engine.backend->isa();
  machine["backend"] = engine.backend->name();
  ThreadPool& pool = engine.backend->threads();
  machine["threads"] = pool.num_threads();
  MachineRates rates = measure_reads(pool, kProbeSeconds);
  measure_peaks(pool, kProbeSeconds, rates);
  machine["read_bytes_per_s"] = rates.read_gb_per_s * 1e9;
  json::object peaks{{"f32", rates.fp32_gflops * 1e9}, {"int8", rates.int8_gops * 1e9}};
  if (rates.bf16_gflops) peaks["bf16"] = *rates.bf16_gflops * 1e9;
  machine["peak_operations_per_s"] = std::move(peaks);
  return machine;
}

json::object versions_json() {
  json::object versions;
  versions["citius"] = version();
#if defined(__clang__)
  versions["compiler"] = "clang " __clang_version__;
#else
  versions["compiler"] = "gcc " __VERSION__;
#endif
  return versions;
}

Limits machine_limits(const json::object& machine, const Engine& engine) {
  Limits limits;
  const json::value* bandwidth = machine.if_contains("read_bytes_per_s");
  if (bandwidth != nullptr && bandwidth->is_number()) limits.bytes_per_s = bandwidth->to_number<double>();
  const json::value* peaks = machine.if_contains("peak_operations_per_s");
  if (peaks != nullptr && peaks->is_object()) {
    const json::value* peak = peaks->as_object().if_contains(weight_totals(engine).widest_activation);
    if (peak != nullptr && peak->is_number()) limits.operations_per_s = peak->to_number<double>();
  }
  return limits;
}

std::string model_digest(const std::filesystem::path& path) {
  Sha256 digest;
  for (const std::filesystem::path& file : files_of(path)) {
    const std::string line = file.filename().string() + " " + sha256_file(file) + "\n";
    digest.update(line.data(), line.size());
  }
  return digest.finish();
}

std::string journal_key(const OptimizeOptions& options, const std::string& budget, const json::object& machine) {
  json::object stable = machine;
  // Measured anew on every start, so never quite the same.
  stable.erase("read_bytes_per_s");
  stable.erase("peak_operations_per_s");
  stable.erase("available_bytes");
  std::string key = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n", version(), model_digest(options.model), options.goal, budget, options.seed,
                                options.num_windows, json::serialize(stable));
  for (const std::string& text : options.texts) key += sha256(text);
  return sha256(key);
}

}  // namespace citius
