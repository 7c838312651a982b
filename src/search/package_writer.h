// Writes what the search chose: the model in the formats of a policy, with the measurements and the receipt.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "base/json.h"
#include "io/package.h"
#include "runtime/engine.h"

namespace citius {

struct OptimizedPackage {
  std::filesystem::path directory;
  FormatPolicy policy;  // empty: every weight as given
  json::object recipe;  // what was decided, with what, on what
  json::object measurements;
  std::map<std::string, std::string> files;  // reports
  uint64_t seed = 0;                         // of the receipt's probes
  int num_threads = 0;
  OnWritten on_written;
};

/// Throws Error{kUsage} where `directory` holds a package of another source than that with `digest` (model_digest()), or one that
/// does not tell its source.
void refuse_other_model(const std::filesystem::path& directory, const std::string& digest);

/// Makes the receipt with the reference backend and writes the package of `source`. Throws Error.
void write_optimized(const Checkpoint& source, const OptimizedPackage& package);

}  // namespace citius
