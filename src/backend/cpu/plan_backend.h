// The CPU backend without its arithmetic: it packs and computes nothing and counts the memory that both would take. What runs on it
// tells what it needs without weights being read or activations being written.
#pragma once

#include "backend/backend.h"
#include "backend/cpu/target.h"

namespace citius::cpu {

class PlanBackend final : public Backend {
 public:
  /// Throws Error{kUsage} for an instruction set that is unknown or that this machine lacks.
  explicit PlanBackend(const BackendOptions& options);

  std::string name() const override { return "plan"; }
  std::string isa() const override { return std::string(target_.name); }
  /// One, as there is nothing to compute.
  ThreadPool& threads() override { return pool_; }
  int num_threads() override { return num_threads_; }

  std::unique_ptr<PackedWeight> pack(std::span<const OwnedMatrix> parts) override;
  std::unique_ptr<PackedWeight> plan(const MatrixSize& size) override;
  bool multiplies_bf16() const override { return target_.ops->multiplies_bf16; }
  bool gains_bf16(int64_t head_dim) const override { return cpu::gains_bf16(target_, head_dim); }
  KernelChoice explain(const PackedWeight& weight, Compute compute) const override;
  size_t workspace_bytes() const override;

  void linear(const LinearArgs& args) override;
  void attention(const AttentionArgs& args) override;
  void norm(const NormArgs&) override {}
  void gated(const GatedArgs&) override {}
  void add(const AddArgs&) override {}
  void rope(const RopeArgs&) override {}
  void kv_write(const KvWriteArgs&) override {}

 private:
  const FormatKernels& kernels(const PackedWeight& weight) const;

  const Target& target_;
  const int num_threads_;
  ThreadPool pool_{1};
  size_t activation_bytes_ = 0;
  size_t row_bytes_ = 0;
  size_t attention_bytes_ = 0;
};

}  // namespace citius::cpu
