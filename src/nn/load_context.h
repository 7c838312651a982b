// What modules load with: the checkpoint's weights, the backend that packs them, and the format each weight shall have.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "io/checkpoint.h"
#include "io/weight_source.h"

namespace citius {

/// One weight matrix of the checkpoint as it was loaded.
struct WeightRecord {
  std::string name;  // full name in the checkpoint
  int64_t rows = 0;
  int64_t cols = 0;
  Format stored = Format::kF32;  // in the checkpoint
  Format format = Format::kF32;  // as packed
  bool transposed = false;       // stored [cols, rows] (GPT-2's Conv1D)
  std::string kernel;            // what multiplies by it
};

/// Chooses the format of a weight matrix; returning record.stored keeps it as given. Asked once per matrix, with `kernel`
/// empty and `format` equal to `stored`.
using FormatPolicy = std::function<Format(const WeightRecord& record)>;

struct LoadContext {
  Backend& backend;
  FormatPolicy policy;               // empty keeps every weight as given
  int64_t max_context = 0;           // positions to prepare for; 0: what the model was made for
  Compute compute = Compute::kFast;  // in which the weights will be used, to name their kernels
  std::vector<WeightRecord> records;
  size_t packed_bytes = 0;  // of all weights so far, as the backend holds them

  /// Reads a matrix and converts it where the policy asks for it; `transposed` reads [cols, rows] (GPT-2's Conv1D).
  OwnedMatrix read(const WeightSource& source, const std::string& name, int64_t rows, int64_t cols, bool transposed = false);
  /// backend.pack(), counted.
  std::unique_ptr<PackedWeight> pack(std::span<const OwnedMatrix> parts);
};

}  // namespace citius
