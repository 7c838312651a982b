// Norms: rows are shared out to threads.
#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/op_tasks.h"
#include "base/check.h"

namespace citius::cpu {

void CpuBackend::norm(const NormArgs& args) {
  // A thread takes at least this many elements: fewer are done sooner than another thread wakes.
  constexpr int64_t kGrain = 8192;
  CHECK(args.x && args.y && args.y.shape == args.x.shape && args.x.shape.rank() >= 2);
  const NormTask task = norm_task(args.x, args.weights, args.y);
  if (trace_.on()) trace_.print("norm [{}]: {}", task.channels, target_.name);
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, args.x.shape.row_elements()));
  pool_.parallel_for(args.x.rows(), grain, [&](int64_t begin, int64_t end) {
    NormTask part = task;
    part.begin = begin;
    part.end = end;
    target_.ops->norm(part);
  });
}

}  // namespace citius::cpu
