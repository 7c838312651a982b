// Engine: a model opened for use, with its tokenizer and the backend it runs on.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "backend/backend.h"
#include "base/progress.h"
#include "io/checkpoint.h"
#include "models/model.h"
#include "runtime/start_cache.h"
#include "tokenizer/tokenizer.h"

namespace citius {

struct EngineOptions {
  std::string backend = "cpu";
  int num_threads = 0;  // 0: default_num_threads()
  std::string isa;      // empty: the best
  Compute compute = Compute::kFast;
  std::optional<KvType> kv_type;  // empty: what suits the weights (Engine::kv_type)
  int64_t context = 0;            // longest sequence wanted; 0: what the model allows
  FormatPolicy policy;            // empty: every weight as given
  StartCache cache;               // of what the next start need not do again
  Progress* progress = nullptr;   // told the weights read so far, while the engine is opened
};

/// Bytes that grow with the tokens of a call.
struct PerTokens {
  double fixed = 0, token = 0;
  double of(int64_t tokens) const { return fixed + token * static_cast<double>(tokens); }
};

/// What works on an engine (Generator, Embedder, the tasks) keeps a reference to it: the engine must outlive them and stay where
/// it is. One of them uses it at a time.
struct Engine {
  EngineOptions options;
  Checkpoint checkpoint;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Tokenizer> tokenizer;  // null where the checkpoint has none
  LoadedModel loaded;                    // the body; heads are loaded from it by whoever needs one
  /// What keys and values are kept in: as the options say; otherwise bf16 where the backend multiplies that and most of the weights
  /// round activations anyway, else fp32.
  KvType kv_type = KvType::kF32;
  PerTokens activations;  // of the body; none on the other backends than cpu

  const Model& model() const { return *loaded.model; }
};

/// Opens the checkpoint, makes the backend and loads the body. Throws Error: Error{kResource} before anything large is taken where the
/// model, as the options will have it run, does not fit (runtime/memory_plan.h).
Engine open_engine(const std::filesystem::path& path, const EngineOptions& options = {});
/// The same for a checkpoint that is open already (one with weights of its own making, for example).
Engine open_engine(Checkpoint checkpoint, const EngineOptions& options = {});
/// The same on the backend "plan" and without a tokenizer: no weight is read.
Engine open_to_plan(Checkpoint checkpoint, EngineOptions options);

}  // namespace citius
