#include "backend/cpu/cpu_backend.h"

namespace citius::cpu {

CpuBackend::CpuBackend(const BackendOptions& options)
    : target_(choose_target(options.isa)),
      pool_(options.num_threads > 0 ? options.num_threads : default_num_threads()),
      linear_(pool_, target_) {}

}  // namespace citius::cpu
