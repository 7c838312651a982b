// The instruction sets this program has kernels for, and the choice of one at run time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "backend/cpu/linear_kernels.h"
#include "backend/cpu/op_kernels.h"

namespace citius::cpu {

/// Whether a line of targets.inc is compiled into this program: kCompiled_<its machine>.
#if defined(__x86_64__)
inline constexpr bool kCompiled_x86_64 = true;
#else
inline constexpr bool kCompiled_x86_64 = false;
#endif
#if defined(__aarch64__)
inline constexpr bool kCompiled_aarch64 = true;
#else
inline constexpr bool kCompiled_aarch64 = false;
#endif
inline constexpr bool kCompiled_any = true;

/// One instruction set and its kernels.
struct Target {
  std::string_view name;
  const LinearKernels* linear = nullptr;
  const OpKernels* ops = nullptr;
};

/// Those that this machine can run, best first. Never empty: `portable` runs everywhere. To be run, a target is to be had of
/// choose_target(), which asks the system for registers that it gives only to who asks.
const std::vector<Target>& available_targets();
/// The target of this name; where empty, of CITIUS_ISA; where that is unset, the best. Throws Error{kUsage} for an unknown
/// name or one this machine cannot run.
const Target& choose_target(std::string_view name);

/// Whether attention computes faster by these kernels with keys and values in bf16 than in fp32, for heads of this size.
bool gains_bf16(const Target& target, int64_t head_dim);

/// Whether a core that reads one stream of memory keeps more of its lines under way than a program can ask for (AMD: Zen 4), so that a
/// kernel does best to read in order and ask for little.
bool follows_streams();

}  // namespace citius::cpu
