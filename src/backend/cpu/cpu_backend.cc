#include "backend/cpu/cpu_backend.h"

#include <fmt/ranges.h>

namespace citius::cpu {

CpuBackend::CpuBackend(const BackendOptions& options)
    : target_(choose_target(options.isa)),
      pool_(options.num_threads > 0 ? options.num_threads : default_num_threads()),
      linear_(pool_, target_) {}

void CpuBackend::linear(const LinearArgs& args) {
  if (trace_.on()) {
    const KernelChoice choice = linear_.explain(*args.weight, args.compute);
    const char* first = args.input.norm ? " of norm" : args.input.up ? " of gated" : "";
    trace_.print("linear {} [{}, {}]{}: {}{}{}", format_name(args.weight->format()), args.weight->rows(), args.weight->cols(), first,
                 choice.name, choice.declined.empty() ? "" : "; declined ", fmt::join(choice.declined, "; "));
  }
  linear_.run(args);
}

}  // namespace citius::cpu
