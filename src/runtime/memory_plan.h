// The memory that a model takes, before any of it is taken: from a model on the backend "plan", which holds no weights and computes
// nothing.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/engine.h"

namespace citius {

/// Bytes of keys and values that one token adds in all layers.
double kv_bytes_per_token(const ModelConfig& config, KvType type);

/// What it takes to run `batch` sequences of `context` tokens: a decoder generates (runtime/generator.h), an encoder encodes
/// (runtime/encoder.h).
struct MemoryPlan {
  double weight_bytes = 0;  // as packed
  double kv_bytes = 0;
  double workspace_bytes = 0;  // activations, in the form that kernels want them too, and scratch
  double program_bytes = 0;    // about: code, libraries, tables of the tokenizer, norms; the least that any command takes
  PerTokens activations;       // of the body, a part of the workspace
  double total() const { return needed() + program_bytes; }
  /// What is still to be taken once the program runs.
  double needed() const { return weight_bytes + kv_bytes + workspace_bytes; }
  /// "weights 3.0 GB, keys and values 1.0 GB, workspace 20 MB".
  std::string text() const;
};
/// The engine must be opened on the backend "plan". Loads the language-model head where there is one, which is a weight too. Not in the
/// plan: rotary tables and task heads.
MemoryPlan plan_memory(Engine& engine, int64_t context, int64_t batch);

/// Tokens of a sequence that are planned for where nobody asks for another length.
int64_t usual_context(const ModelConfig& config);

/// Throws Error{kResource} with the numbers where the model cannot be run at all: one sequence of the context that the options ask for, of
/// the usual one for an encoder, of one block for a decoder, which then takes as much of its context as there is room for.
/// Gives what activations take.
PerTokens require_model(const Checkpoint& checkpoint, const EngineOptions& options);

}  // namespace citius
