// What a workload costs whatever the kernels: bytes that must be read and operations that must be done, from the shapes
// and formats of the weights. Divided by what the machine was measured to do they give the share of the limit reached.
#pragma once

#include "eval/speed.h"

namespace citius {

/// Weights of a loaded engine as memory and arithmetic see them.
struct WeightTotals {
  double parameters = 0;          // of all weight matrices
  double resident_bytes = 0;      // encoded
  double streamed_bytes = 0;      // read by one pass: all but pure look-up tables
  double products = 0;            // multiplications by a weight a token: parameters of the streamed matrices
  double head_products = 0;       // of these, in the language-model head (one row a sequence in prefill)
  double embedding_bytes = 0;     // look-up tables that no product reads
  std::string widest_activation;  // activation format of most products: "f32", "bf16" or "int8"
};
WeightTotals weight_totals(const Engine& engine);

/// Bytes of keys and values that one token adds in all layers.
double kv_bytes_per_token(const ModelConfig& config, KvType type);

/// Bytes read and operations (multiply and add are two) of one round.
struct Work {
  double bytes = 0;
  double operations = 0;
};
Work work_of(const Engine& engine, const Workload& workload);

/// What it takes to run `batch` sequences of `context` tokens: a decoder generates (runtime/generator.h), an encoder encodes
/// (runtime/encoder.h).
struct MemoryPlan {
  double weight_bytes = 0;  // as packed
  double kv_bytes = 0;
  double workspace_bytes = 0;  // activations, in the form that kernels want them too, and scratch
  double total() const { return weight_bytes + kv_bytes + workspace_bytes; }
};
/// The engine must be opened on the backend "plan". Loads the language-model head where there is one, which is a weight too. Not in the
/// plan: norms, biases and rotary tables, and task heads.
MemoryPlan plan_memory(Engine& engine, int64_t context, int64_t batch);

}  // namespace citius
