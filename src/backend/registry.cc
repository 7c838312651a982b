// Which backends there are.
#include "backend/backend.h"
#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/plan_backend.h"
#include "backend/cpu/target.h"
#include "backend/ref/ref_backend.h"
#include "base/error.h"

namespace citius {

std::unique_ptr<Backend> make_backend(const std::string& name, const BackendOptions& options) {
  if (name == "cpu") return std::make_unique<cpu::CpuBackend>(options);
  if (name == "ref") {
    cpu::choose_target(options.isa);  // refuses what "cpu" refuses; the reference itself computes the same with any
    return std::make_unique<ref::RefBackend>(options.num_threads > 0 ? options.num_threads : default_num_threads());
  }
  if (name == "plan") return std::make_unique<cpu::PlanBackend>(options);
  fail(ErrorKind::kUsage, "backend", "unknown backend, got '{}', expected cpu, ref or plan", name);
}

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const cpu::Target& target : cpu::available_targets()) names.emplace_back(target.name);
  return names;
}

}  // namespace citius
