#include "search/environment.h"

#include <algorithm>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/version.h"
#include "eval/machine.h"
#include "eval/work.h"
#include "io/companion_files.h"

namespace citius {
namespace {

constexpr double kProbeSeconds = 0.1;  // for each loop; shorter ones catch the clock still rising

// What a checkpoint was read from, and only that: a model's directory may hold other weights, packages and journals.
std::vector<std::filesystem::path> files_of(const Checkpoint& model) {
  std::vector<std::filesystem::path> files;
  if (model.weights != nullptr) {
    for (const auto& file : model.weights->files()) files.push_back(file->path());
  }
  if (std::filesystem::is_directory(model.path)) {
    for (const char* name : {"config.json", "citius.json", "metadata.gguf"}) {
      if (std::filesystem::exists(model.path / name)) files.push_back(model.path / name);
    }
    for (const std::filesystem::path& name : companion_files(model.path)) files.push_back(model.path / name);
  }
  if (files.empty() && std::filesystem::is_regular_file(model.path)) files.push_back(model.path);  // a bare config.json
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
  machine["read_bytes_per_s"] = rates.reads.empty() ? json::value(nullptr) : json::value(rates.read_gb_per_s * 1e9);
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

std::string model_digest(const Checkpoint& model) {
  Sha256 digest;
  const bool directory = std::filesystem::is_directory(model.path);
  for (const std::filesystem::path& file : files_of(model)) {
    const std::filesystem::path name = directory ? file.lexically_relative(model.path) : file.filename();
    const std::string line = name.generic_string() + " " + sha256_file(file) + "\n";
    digest.update(line.data(), line.size());
  }
  return digest.finish();
}

std::string journal_key(const OptimizeOptions& options, const std::string& digest, const std::string& budget, const json::object& machine) {
  json::object stable = machine;
  // Measured anew on every start, so never quite the same.
  stable.erase("read_bytes_per_s");
  stable.erase("peak_operations_per_s");
  stable.erase("available_bytes");
  std::string key = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n", version(), digest, options.goal, budget, compute_name(options.compute),
                                options.seed, options.num_windows, json::serialize(stable));
  for (const std::string& text : options.texts) key += sha256(text);
  return sha256(key);
}

}  // namespace citius
