// Gated products, sums and rotary embedding: rows are shared out to threads.
#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/op_tasks.h"
#include "base/check.h"

namespace citius::cpu {
namespace {

// A thread takes at least this many elements: fewer are done sooner than another thread wakes.
constexpr int64_t kGrain = 8192;

int64_t row_grain(const TensorView& x) { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, x.shape.row_elements())); }

void check_elements(const TensorView& a, const TensorView& b, const TensorView& y) {
  CHECK(a && b && y && a.shape.rank() == 2 && b.shape == a.shape && y.shape == a.shape);
}

template <typename Task>
void run_rows(ThreadPool& pool, const TensorView& x, const Task& task, void (*kernel)(const Task&)) {
  pool.parallel_for(x.rows(), row_grain(x), [&](int64_t begin, int64_t end) {
    Task part = task;
    part.begin = begin;
    part.end = end;
    kernel(part);
  });
}

}  // namespace

void CpuBackend::gated(const GatedArgs& args) {
  check_elements(args.gate, args.up, args.y);
  if (trace_.on()) trace_.print("gated: {}", target_.name);
  run_rows(pool_, args.gate, pointwise_task(args.gate, args.up, args.y, args.kind), target_.ops->gated);
}

void CpuBackend::add(const AddArgs& args) {
  check_elements(args.a, args.b, args.y);
  if (trace_.on()) trace_.print("add: {}", target_.name);
  run_rows(pool_, args.a, pointwise_task(args.a, args.b, args.y), target_.ops->add);
}

void CpuBackend::rope(const RopeArgs& args) {
  CHECK(args.x && args.x.shape.rank() == 3 && args.rotation.rotary >= 0 && args.rotation.rotary % 2 == 0 &&
        args.rotation.rotary <= args.x.shape[2]);
  if (trace_.on()) trace_.print("rope: {}", target_.name);
  run_rows(pool_, args.x, rope_task(args.x, args.rotation), target_.ops->rope);
}

}  // namespace citius::cpu
