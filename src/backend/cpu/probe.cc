// Picks the probe loops of an instruction set.
#include "backend/probe.h"

#include "backend/cpu/target.h"
#include "base/check.h"

namespace citius {
namespace cpu {

#define CITIUS_TARGET(isa, simd, machine, flags) \
  namespace isa {                                \
  const ProbeKernels& probe_loops();             \
  }
#include "backend/cpu/targets.inc"
#undef CITIUS_TARGET
}  // namespace cpu

const ProbeKernels& probe_kernels(std::string_view isa) {
  const std::string_view name = cpu::choose_target(isa).name;
  const ProbeKernels* found = nullptr;
#define CITIUS_TARGET(target, simd, machine, flags)           \
  if constexpr (cpu::kCompiled_##machine) {                   \
    if (name == #target) found = &cpu::target::probe_loops(); \
  }
#include "backend/cpu/targets.inc"
#undef CITIUS_TARGET
  CHECK(found != nullptr);
  return *found;
}

std::string_view probe_isa(std::string_view isa) { return cpu::choose_target(isa).name; }

}  // namespace citius
