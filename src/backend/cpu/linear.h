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

class CpuLinear {
 public:
  CpuLinear(ThreadPool& pool, const Target& target);

  std::unique_ptr<PackedWeight> pack(std::span<const OwnedMatrix> parts);
  KernelChoice explain(const PackedWeight& weight, Compute compute) const;
  /// One product at a time.
  void run(const LinearArgs& args);

 private:
  Activations prepare(const LinearArgs& args, const ActivationPlan& plan);

  ThreadPool& pool_;
  const Target& target_;
  AlignedBuffer activations_;  // int8 or bf16 copies of x
  AlignedBuffer scratch_;      // kLinearScratch bytes a thread
};

}  // namespace citius::cpu
