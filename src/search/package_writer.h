// Writes what the search chose: the model in the formats of a policy, with the measurements and the receipt.
#pragma once

#include <filesystem>

#include "base/json.h"
#include "nn/load_context.h"

namespace citius {

/// Converts the model at `model` by `policy` and writes the package `out` (made beside and renamed). `measurements` go to
/// citius.json. Throws Error.
void write_optimized(const std::filesystem::path& model, const std::filesystem::path& out, const FormatPolicy& policy,
                     const json::object& measurements, int num_threads);

}  // namespace citius
