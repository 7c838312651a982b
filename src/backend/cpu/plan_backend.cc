#include "backend/cpu/plan_backend.h"

#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/prepared_input.h"

namespace citius::cpu {
namespace {

// Rows of zeros in the room that tiles would take.
class PlannedWeight final : public PackedWeight {
 public:
  PlannedWeight(Format format, int64_t rows, int64_t cols) : PackedWeight(format, rows, cols) {}
  size_t bytes() const override { return packed_bytes(format(), rows(), cols()); }
  void decode(int64_t, float* out) const override { std::fill_n(out, cols(), 0.0f); }
};

}  // namespace

PlanBackend::PlanBackend(const BackendOptions& options)
    : target_(choose_target(options.isa)), num_threads_(options.num_threads > 0 ? options.num_threads : default_num_threads()) {}

const FormatKernels& PlanBackend::kernels(const PackedWeight& weight) const {
  return target_.linear->formats[static_cast<size_t>(weight.format())];
}

std::unique_ptr<PackedWeight> PlanBackend::pack(std::span<const OwnedMatrix> parts) { return plan(size_of_parts(parts)); }

std::unique_ptr<PackedWeight> PlanBackend::plan(const MatrixSize& size) {
  return std::make_unique<PlannedWeight>(size.format, size.rows, size.cols);
}

KernelChoice PlanBackend::explain(const PackedWeight& weight, Compute compute) const {
  return explain_kernels(target_, kernels(weight), compute);
}

size_t PlanBackend::workspace_bytes() const {
  return activation_bytes_ + row_bytes_ + attention_bytes_ + static_cast<size_t>(kLinearScratch * num_threads_);
}

void PlanBackend::linear(const LinearArgs& args) {
  const ActivationPlan plan = args.compute == Compute::kFast ? kernels(*args.weight).plan : ActivationPlan{};
  activation_bytes_ = std::max(activation_bytes_, PreparedInput::bytes(args.input, plan));
  row_bytes_ = std::max(row_bytes_, PreparedInput::row_bytes(args.input, plan, num_threads_));
}

void PlanBackend::attention(const AttentionArgs& args) {
  attention_bytes_ = std::max(attention_bytes_, plan_attention(args, num_threads_).bytes(num_threads_));
}

}  // namespace citius::cpu
