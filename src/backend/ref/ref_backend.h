// The scalar reference: every op as its contract's equation, accumulated in double. It can run whole models, and it is what
// every fast kernel is tested against.
#pragma once

#include "backend/backend.h"
#include "backend/dispatch_trace.h"

namespace citius::ref {

class RefBackend : public Backend {
 public:
  explicit RefBackend(int num_threads) : threads_(num_threads) {}

  std::string name() const override { return "ref"; }
  std::string isa() const override { return "scalar"; }
  ThreadPool& threads() override { return threads_; }

  std::unique_ptr<PackedWeight> pack(std::span<const OwnedMatrix> parts) override;
  KernelChoice explain(const PackedWeight& weight, Compute compute) const override;
  size_t workspace_bytes() const override { return 0; }

  void linear(const LinearArgs& args) override;
  void norm(const NormArgs& args) override;
  void gated(const GatedArgs& args) override;
  void add(const AddArgs& args) override;
  void rope(const RopeArgs& args) override;
  void kv_write(const KvWriteArgs& args) override;
  void attention(const AttentionArgs& args) override;

 private:
  void trace(const char* op) {
    if (trace_.on()) trace_.print("{}: scalar reference", op);
  }

  ThreadPool threads_;
  DispatchTrace trace_;
};

/// The activation in double.
double activate(ActivationKind kind, double x);

}  // namespace citius::ref
