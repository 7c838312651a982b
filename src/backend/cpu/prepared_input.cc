#include "backend/cpu/prepared_input.h"

#include "backend/cpu/op_tasks.h"
#include "base/check.h"

namespace citius::cpu {
namespace {

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

// An odd number of cache lines: rows a multiple of 4096 bytes apart share one set of the first-level cache, which has fewer ways
// than a kernel has rows (int8, 8192 inputs: 350 instead of 450 G multiply-adds a second).
int64_t spread(int64_t bytes) { return round_up(bytes, 64) | 64; }

// Bytes, each a multiple of 64, that the parts of a prepared input take.
struct Layout {
  Layout(const LinearInput& input, const ActivationPlan& plan) {
    const int64_t rows = input.x.shape[0], cols = input.x.shape[1];
    if (plan.integer) {
      quantize = quantize_task(input.x, plan);
      quantize.code_stride = spread(quantize.code_stride);
      codes = rows * quantize.code_stride;
      scales = round_up(rows * quantize.scale_stride * 4, 64);
      aux = round_up(rows * quantize.aux_stride * 4, 64);
    } else if (plan.bf16 || input.is_computed()) {
      float_stride = spread(cols * 4);
      floats = rows * float_stride;
    }
    if ((plan.integer || plan.bf16) && input.is_computed()) computed = spread(cols * 4);
  }
  int64_t total() const { return codes + scales + aux + floats; }

  QuantizeTask quantize;  // all rows, without memory
  int64_t float_stride = 0;
  int64_t codes = 0, scales = 0, aux = 0, floats = 0;
  int64_t computed = 0;  // of the row that a thread computes before it is converted
};

}  // namespace

size_t PreparedInput::bytes(const LinearInput& input, const ActivationPlan& plan) {
  return static_cast<size_t>(Layout(input, plan).total());
}

size_t PreparedInput::row_bytes(const LinearInput& input, const ActivationPlan& plan, int threads) {
  return static_cast<size_t>(threads * Layout(input, plan).computed);
}

PreparedInput::PreparedInput(const Target& target, const LinearInput& input, const ActivationPlan& plan, int threads, AlignedBuffer& memory,
                             AlignedBuffer& row_memory)
    : target_(target), input_(input), plan_(plan) {
  const Layout layout(input, plan);
  memory.reserve(static_cast<size_t>(layout.total()));
  row_memory.reserve(row_bytes(input, plan, threads));
  uint8_t* next = memory.data();
  const auto take = [&](int64_t bytes) {
    uint8_t* part = next;
    next += bytes;
    return part;
  };
  activations_.x = input.x.row(0);
  activations_.x_stride = input.x.stride;
  if (plan.integer) {
    quantize_ = layout.quantize;
    quantize_.codes = reinterpret_cast<int8_t*>(take(layout.codes));
    quantize_.scales = reinterpret_cast<float*>(take(layout.scales));
    quantize_.aux_out = take(layout.aux);
    activations_.codes = quantize_.codes;
    activations_.code_stride = quantize_.code_stride;
    activations_.scales = quantize_.scales;
    activations_.scale_stride = quantize_.scale_stride;
    activations_.aux = quantize_.aux_out;
    activations_.aux_stride = quantize_.aux_stride;
  } else if (layout.floats > 0) {
    floats_ = reinterpret_cast<float*>(take(layout.floats));
    activations_.x = floats_;
    activations_.x_stride = layout.float_stride / 4;
  }
  computed_ = reinterpret_cast<float*>(row_memory.data());
  computed_stride_ = layout.computed / 4;
}

// Row `row` of what the input stands for → to [1, K].
void PreparedInput::compute(int64_t row, const TensorView& to) const {
  const TensorView x = input_.x.slice_rows(row, row + 1);
  if (input_.norm) {
    NormTask task = norm_task(x, *input_.norm, to);
    task.end = 1;
    target_.ops->norm(task);
  } else {
    PointwiseTask task = pointwise_task(x, input_.up.slice_rows(row, row + 1), to, input_.gate);
    task.end = 1;
    target_.ops->gated(task);
  }
}

// The rows of x, which are those from `row` on, as the plan wants them.
void PreparedInput::convert(const TensorView& x, int64_t row) const {
  if (plan_.integer) {
    QuantizeTask task = quantize_;
    task.x = x.row(0);
    task.x_stride = x.stride;
    task.rows = x.rows();
    task.codes += row * task.code_stride;
    task.scales += row * task.scale_stride;
    task.aux_out = static_cast<float*>(task.aux_out) + row * task.aux_stride;
    target_.linear->quantize(task);
  } else {
    target_.linear->round_bf16(x.row(0), x.stride, x.rows(), x.shape[1], floats_ + row * activations_.x_stride, activations_.x_stride);
  }
}

void PreparedInput::fill(int64_t begin, int64_t end, int thread) const {
  if (begin >= end) return;
  if (!input_.is_computed()) {
    if (plan_.integer || plan_.bf16) convert(input_.x.slice_rows(begin, end), begin);
    return;
  }
  const int64_t cols = input_.x.shape[1];
  for (int64_t row = begin; row < end; ++row) {
    if (plan_.integer || plan_.bf16) {
      const TensorView computed(computed_ + thread * computed_stride_, DType::kF32, {1, cols});
      compute(row, computed);
      convert(computed, row);
    } else {
      compute(row, TensorView(floats_ + row * activations_.x_stride, DType::kF32, {1, cols}));
    }
  }
}

}  // namespace citius::cpu
