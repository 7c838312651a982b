// What modules load with: the checkpoint's weights, the backend that packs them, and the format each weight shall have.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "backend/backend.h"
#include "base/memory.h"
#include "base/progress.h"
#include "io/checkpoint.h"
#include "io/weight_source.h"
#include "nn/packed_file.h"

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
  bool looked_up = false;        // an embedding, whose rows are read one by one (and that a tied output layer multiplies by)
};

/// A matrix of the checkpoint that is known and not read yet.
struct PendingMatrix {
  std::string name;  // full name in the checkpoint
  MatrixSize size;   // as it will be packed
  std::function<OwnedMatrix()> read;
};

/// Chooses the format of a weight matrix; returning record.stored keeps it as given. Asked once per matrix, with `kernel`
/// empty, `format` equal to `stored` and `looked_up` not yet known.
using FormatPolicy = std::function<Format(const WeightRecord& record)>;

struct LoadContext {
  Backend& backend;
  FormatPolicy policy;               // empty keeps every weight as given
  int64_t max_context = 0;           // positions to prepare for; 0: what the model was made for
  Compute compute = Compute::kFast;  // in which the weights will be used, to name their kernels
  std::vector<WeightRecord> records;
  size_t packed_bytes = 0;                  // of all weights so far, as the backend holds them
  std::shared_ptr<PackedFile> packed_file;  // where packed weights are found and kept; null: nowhere
  MemoryClaim mapped;                       // weights that were found there
  Progress* progress = nullptr;             // told the weights found so far

  /// Finds a matrix, to be converted where the policy asks for it; `transposed` reads [cols, rows] (GPT-2's Conv1D).
  PendingMatrix find(const WeightSource& source, const std::string& name, int64_t rows, int64_t cols, bool transposed = false);
  /// One weight of the rows of `parts`: as packed_file has it, otherwise read and packed. Counted.
  std::shared_ptr<PackedWeight> pack(std::span<const PendingMatrix> parts);
};

}  // namespace citius
