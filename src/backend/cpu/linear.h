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
class CpuLinear {
 public:
  CpuLinear(ThreadPool& pool, const Target& target);

  std::unique_ptr<PackedWeight> pack(std::span<const OwnedMatrix> parts);
  std::unique_ptr<PackedWeight> adopt(const MatrixSize& size, std::span<const std::byte> packed, std::shared_ptr<const void> owner);
  KernelChoice explain(const PackedWeight& weight, Compute compute) const;
  size_t workspace_bytes() const { return activations_.bytes() + rows_.bytes() + scratch_.bytes(); }
  /// One product at a time.
  void run(const LinearArgs& args);

 private:
  struct Product;
  void few_rows(const Product& product);
  void many_rows(const Product& product);

  ThreadPool& pool_;
  const Target& target_;
  SharedPages weights_;        // what pack() fills
  AlignedBuffer activations_;  // inputs as kernels read them
  AlignedBuffer rows_;         // one a thread, computed before it is converted
  AlignedBuffer scratch_;      // kLinearScratch bytes a thread
};

}  // namespace citius::cpu
