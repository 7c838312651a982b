// Loops that show what the machine can do at most: read rates and peak arithmetic rates, in the instructions that the kernels
// use: those of vectors, or of tile registers (AMX). `citius doctor` and everything that states a share of the limit measure with them
// (eval/machine.h).
#pragma once

#include <cstdint>
#include <string_view>

namespace citius {

/// A way to read memory. The best differs between machines: how many streams the prefetchers follow, hints or none.
struct ReadProbe {
  const char* name;
  /// Reads all of [data, data + bytes); bytes is a multiple of 4096. The result keeps the loads alive.
  uint32_t (*run)(const uint8_t* data, int64_t bytes);
};

/// A chain of dependent-free multiply-adds in registers.
struct PeakProbe {
  const char* name;    // "fp32", "bf16", "int8"
  int64_t operations;  // multiplications and additions of one step
  /// Runs `steps` steps, a multiple of 4. Null where the instruction set has no instruction for it.
  float (*run)(int64_t steps);
};

struct ProbeKernels {
  static constexpr int kReads = 5;
  ReadProbe reads[kReads];
  PeakProbe fp32;
  PeakProbe bf16;
  PeakProbe int8;
};

/// The loops of an instruction set; empty: the one that kernels use (CITIUS_ISA or the best). Throws Error{kUsage}.
const ProbeKernels& probe_kernels(std::string_view isa = {});
/// The name of that instruction set.
std::string_view probe_isa(std::string_view isa = {});

}  // namespace citius
