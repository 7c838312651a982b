// What a workload costs whatever the kernels: bytes that must be read and operations that must be done, from the shapes
// and formats of the weights. Divided by what the machine was measured to do they give the share of the limit reached.
#pragma once

#include "eval/speed.h"
#include "runtime/memory_plan.h"

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

/// Bytes read and operations (multiply and add are two) of one round.
struct Work {
  double bytes = 0;
  double operations = 0;
};
Work work_of(const Engine& engine, const Workload& workload);

}  // namespace citius
