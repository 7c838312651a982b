// Linear on the CPU: packs weights, prepares activations, shares a product out to threads.
#pragma once

#include <memory>
#include <span>

#include "backend/backend.h"
#include "backend/cpu/aligned_buffer.h"
#include "backend/cpu/pack.h"
#include "backend/cpu/target.h"
#include "base/thread_pool.h"

namespace citius::cpu {

/// The kernel that multiplies by weights of a format.
KernelChoice explain_kernels(const Target& target, const FormatKernels& kernels, Compute compute);
/// Bytes of an input as `plan` prepares it, with what `threads` threads need for that; 0 where kernels read it as it is.
size_t activation_bytes(const ActivationPlan& plan, const LinearInput& input, int threads);

class CpuLinear {
 public:
  CpuLinear(ThreadPool& pool, const Target& target);

  std::unique_ptr<PackedWeight> pack(std::span<const OwnedMatrix> parts);
  std::unique_ptr<PackedWeight> adopt(const MatrixSize& size, std::span<const std::byte> packed, std::shared_ptr<const void> owner);
  KernelChoice explain(const PackedWeight& weight, Compute compute) const;
  size_t workspace_bytes() const { return activations_.bytes() + scratch_.bytes(); }
  /// One product at a time.
  void run(const LinearArgs& args);

 private:
  ThreadPool& pool_;
  const Target& target_;
  SharedPages weights_;        // what pack() fills
  AlignedBuffer activations_;  // inputs as kernels read them
  AlignedBuffer scratch_;      // kLinearScratch bytes a thread
};

}  // namespace citius::cpu
