// The input of a product as its kernels read it: computed where a norm or a gate comes first, then quantized or rounded as the format of
// the weights wants it. Row by row, so that what is computed goes from the first-level cache into codes and is never a tensor.
#pragma once

#include "backend/contract/linear.h"
#include "backend/cpu/aligned_buffer.h"
#include "backend/cpu/target.h"

namespace citius::cpu {

class PreparedInput {
 public:
  /// Takes what it needs from `memory` and, for rows that are computed, `row_memory`. Both must hold until the product is done.
  PreparedInput(const Target& target, const LinearInput& input, const ActivationPlan& plan, int threads, AlignedBuffer& memory,
                AlignedBuffer& row_memory);
  /// What the constructor reserves: of `memory`, which is in proportion to the rows, and of `row_memory`, which does not depend on them.
  static size_t bytes(const LinearInput& input, const ActivationPlan& plan);
  static size_t row_bytes(const LinearInput& input, const ActivationPlan& plan, int threads);

  /// Whether kernels read anything but the input itself; fill() must be called for every row then.
  bool needs_fill() const { return input_.is_computed() || plan_.integer || plan_.bf16; }
  /// Prepares rows [begin, end). Threads with different numbers may fill different rows at the same time.
  void fill(int64_t begin, int64_t end, int thread) const;
  const Activations& activations() const { return activations_; }

 private:
  void compute(int64_t row, const TensorView& to) const;
  void convert(const TensorView& x, int64_t row) const;

  const Target& target_;
  LinearInput input_;
  ActivationPlan plan_;
  QuantizeTask quantize_;      // all rows
  float* floats_ = nullptr;    // all rows, as fp32 or rounded
  float* computed_ = nullptr;  // one row a thread
  int64_t computed_stride_ = 0;
  Activations activations_;
};

}  // namespace citius::cpu
