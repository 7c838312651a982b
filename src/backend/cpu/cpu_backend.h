// The CPU backend: a pool of threads, the kernels of one instruction set, and the ops on top of them. Products are in
// linear.cc; each other op is defined in the file named after it.
#pragma once

#include "backend/backend.h"
#include "backend/cpu/linear.h"
#include "backend/cpu/target.h"
#include "backend/dispatch_trace.h"
#include "base/thread_pool.h"

namespace citius::cpu {

/// How attention is cut and what memory it takes beside that of its arguments.
struct AttentionPlan {
  int64_t multiplications = 0;
  bool split = false;          // spans of keys are pieces of their own: new tokens of few sequences with long contexts
  int64_t scratch_floats = 0;  // a thread
  int64_t partial_floats = 0;  // what the spans sum to
  size_t bytes(int threads) const { return static_cast<size_t>(scratch_floats * threads + partial_floats) * sizeof(float); }
};
AttentionPlan plan_attention(const AttentionArgs& args, int threads);

/// What threads share out between them in attention: queries [begin, begin + count) of a sequence by one key and value head.
struct AttentionPiece {
  int64_t sequence, head, begin, count;
  int64_t span = -1;      // by this span of its keys alone, or by all
  int64_t num_spans = 0;  // of the first of a row of spans: how many are to be joined
  int64_t partial = 0;    // float from which on the sums of the span stand
};

/// New tokens [begin, begin + count) of a sequence.
struct TokenRun {
  int64_t sequence, begin, count;
};

class CpuBackend final : public Backend {
 public:
  /// Throws Error{kUsage} for an instruction set that is unknown or that this machine lacks.
  explicit CpuBackend(const BackendOptions& options);

  std::string name() const override { return "cpu"; }
  std::string isa() const override { return std::string(target_.name); }
  ThreadPool& threads() override { return pool_; }

  std::unique_ptr<PackedWeight> pack(std::span<const OwnedMatrix> parts) override { return linear_.pack(parts); }
  std::string packing() const override { return kPacking; }
  std::unique_ptr<PackedWeight> adopt(const MatrixSize& size, std::span<const std::byte> packed,
                                      std::shared_ptr<const void> owner) override {
    return linear_.adopt(size, packed, std::move(owner));
  }
  bool multiplies_bf16() const override { return target_.ops->multiplies_bf16; }
  bool gains_bf16(int64_t head_dim) const override { return cpu::gains_bf16(target_, head_dim); }
  KernelChoice explain(const PackedWeight& weight, Compute compute) const override { return linear_.explain(weight, compute); }
  size_t workspace_bytes() const override { return linear_.workspace_bytes() + scratch_.bytes(); }

  void linear(const LinearArgs& args) override;
  void norm(const NormArgs& args) override;
  void gated(const GatedArgs& args) override;
  void add(const AddArgs& args) override;
  void rope(const RopeArgs& args) override;
  void kv_write(const KvWriteArgs& args) override;
  void attention(const AttentionArgs& args) override;

 private:
  const Target& target_;
  ThreadPool pool_;
  CpuLinear linear_;
  DispatchTrace trace_;

  void list_pieces(const AttentionArgs& args, const AttentionPlan& plan);
  void prepare_tokens(const AttentionArgs& args, const TokenRun& run) const;

  std::vector<AttentionPiece> pieces_;  // of the attention at hand
  std::vector<TokenRun> runs_;
  AlignedBuffer scratch_;
};

}  // namespace citius::cpu
