#include "search/environment.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <vector>

#include "base/digest.h"
#include "base/error.h"
#include "base/version.h"
#include "eval/work.h"

namespace citius {
namespace {

// The first value of `key` in a file of "key : value" lines.
std::string value_of(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

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

json::object machine_json(const Engine& engine) {
  json::object machine;
  machine["cpu"] = value_of("/proc/cpuinfo", "model name");
  machine["isa"] = engine.backend->isa();
  machine["backend"] = engine.backend->name();
  machine["threads"] = engine.backend->threads().num_threads();
  machine["memory_bytes"] = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<int64_t>(sysconf(_SC_PAGESIZE));
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

std::string journal_key(const OptimizeOptions& options, const json::object& machine) {
  json::object stable = machine;
  // Measured anew on every start, so never quite the same.
  stable.erase("read_bytes_per_s");
  stable.erase("peak_operations_per_s");
  std::string key = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n", version(), model_digest(options.model), options.goal, options.seed,
                                options.num_windows, json::serialize(stable));
  for (const std::string& text : options.texts) key += sha256(text);
  return sha256(key);
}

}  // namespace citius
