#include "backend/cpu/target.h"

#include <fmt/ranges.h>

#include <cstdint>
#include <cstdlib>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

namespace citius::cpu {

#define CITIUS_TARGET(isa, simd, machine, flags) \
  namespace isa {                                \
  const LinearKernels& linear_kernels();         \
  const OpKernels& op_kernels();                 \
  }
#include "backend/cpu/targets.inc"
#undef CITIUS_TARGET

namespace {

#if defined(__x86_64__)

struct CpuBits {
  bool avx2 = false, avx_vnni = false, avx512 = false, avx512_vnni = false, avx512_bf16 = false, avx512_amx = false;
};

uint64_t enabled_state() {
  uint32_t low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

constexpr int kTileData = 18;  // XFEATURE_XTILEDATA

// Whether Linux lets programs ask for the tile registers of AMX.
bool offers_amx() {
#if defined(__linux__)
  constexpr int kSupported = 0x1021;  // ARCH_GET_XCOMP_SUPP
  uint64_t features = 0;
  return syscall(SYS_arch_prctl, kSupported, &features) == 0 && (features >> kTileData & 1) != 0;
#else
  return false;
#endif
}

// Linux saves the tile registers of AMX only for a process that asks to use them, all its threads and children from then on. They need 8 KB
// more on a signal's stack then, so that sigaltstack() refuses small ones: who uses other instructions does not ask.
bool permit_amx() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

bool permitted(std::string_view isa) { return isa != "avx512_amx" || permit_amx(); }

// An instruction set counts when the processor has it and the system saves its registers (XCR0).
CpuBits read_cpu() {
  CpuBits bits;
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return bits;
  constexpr uint32_t kFma = 1u << 12, kXsave = 1u << 27, kAvx = 1u << 28, kF16c = 1u << 29;
  if ((c & (kFma | kXsave | kAvx | kF16c)) != (kFma | kXsave | kAvx | kF16c)) return bits;
  const uint64_t state = enabled_state();
  if ((state & 0x6) != 0x6 || __get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return bits;
  constexpr uint32_t kAvx2 = 1u << 5, kBmi2 = 1u << 8;
  bits.avx2 = (b & (kAvx2 | kBmi2)) == (kAvx2 | kBmi2);
  constexpr uint32_t kAmx = (1u << 22) | (1u << 24) | (1u << 25);  // BF16, TILE, INT8
  const bool amx = (state & 0x60000) == 0x60000 && (d & kAmx) == kAmx;
  constexpr uint32_t kAvx512 = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);  // F, DQ, BW, VL
  bits.avx512 = bits.avx2 && (state & 0xe6) == 0xe6 && (b & kAvx512) == kAvx512;
  bits.avx512_vnni = bits.avx512 && (c & (1u << 11)) != 0;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) return bits;
  bits.avx_vnni = bits.avx2 && (a & (1u << 4)) != 0;
  bits.avx512_bf16 = bits.avx512_vnni && (a & (1u << 5)) != 0;
  bits.avx512_amx = bits.avx512_bf16 && amx && offers_amx();
  return bits;
}

bool machine_has(std::string_view isa) {
  static const CpuBits bits = read_cpu();
  if (isa == "avx512_amx") return bits.avx512_amx;
  if (isa == "avx512_bf16") return bits.avx512_bf16;
  if (isa == "avx512_vnni") return bits.avx512_vnni;
  if (isa == "avx512") return bits.avx512;
  if (isa == "avx_vnni") return bits.avx_vnni;
  if (isa == "avx2") return bits.avx2;
  return isa == "portable";
}

#elif defined(__aarch64__)

bool permitted(std::string_view) { return true; }

bool machine_has(std::string_view isa) {
  static const bool dotprod = (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  constexpr unsigned long kBf16 = HWCAP2_I8MM | HWCAP2_BF16;
  static const bool bf16 = dotprod && (getauxval(AT_HWCAP2) & kBf16) == kBf16;
  if (isa == "neon_bf16") return bf16;
  if (isa == "neon_dotprod") return dotprod;
  return isa == "neon" || isa == "portable";  // NEON is part of every 64-bit ARM that runs this system
}

#else

bool permitted(std::string_view) { return true; }

bool machine_has(std::string_view isa) { return isa == "portable"; }

#endif

std::vector<std::string_view> known_names() {
  return {
#define CITIUS_TARGET(isa, simd, machine, flags) #isa,
#include "backend/cpu/targets.inc"
#undef CITIUS_TARGET
  };
}

std::vector<Target> find_targets() {
  std::vector<Target> targets;
#define CITIUS_TARGET(isa, simd, machine, flags)                             \
  if constexpr (kCompiled_##machine) {                                       \
    if (machine_has(#isa)) {                                                 \
      targets.push_back({#isa, &isa::linear_kernels(), &isa::op_kernels()}); \
    }                                                                        \
  }
#include "backend/cpu/targets.inc"
#undef CITIUS_TARGET
  return targets;
}

const Target& best_target() {
  for (const Target& target : available_targets()) {
    if (permitted(target.name)) return target;
  }
  return available_targets().back();  // not reached: `portable` asks for nothing
}

}  // namespace

const std::vector<Target>& available_targets() {
  static const std::vector<Target> targets = find_targets();
  return targets;
}

const Target& choose_target(std::string_view name) {
  std::string_view wanted = name;
  if (wanted.empty()) {
    const char* forced = std::getenv("CITIUS_ISA");
    if (forced == nullptr || *forced == '\0') return best_target();
    wanted = forced;
  }
  std::vector<std::string_view> names;
  for (const Target& target : available_targets()) {
    if (target.name == wanted && permitted(wanted)) return target;
    names.push_back(target.name);
  }
  const std::string_view where = name.empty() ? "CITIUS_ISA" : "isa";
  for (const std::string_view known : known_names()) {
    if (known == wanted) {
      fail(ErrorKind::kUsage, where, "this machine cannot run '{}', expected one of {}", wanted, fmt::join(names, ", "));
    }
  }
  fail(ErrorKind::kUsage, where, "got '{}', expected one of {}", wanted, fmt::join(names, ", "));
}

bool gains_bf16(const Target& target, int64_t head_dim) {
#if defined(__x86_64__)
  // vdpbf16ps takes two cycles on Intel's cores: prompts and encoders are slower by it than in fp32. By AMX they are faster, which takes
  // heads of whole groups of 32 dimensions.
  static const bool intel = __builtin_cpu_is("intel") != 0;
  if (intel && !(target.name == "avx512_amx" && head_dim % 32 == 0)) return false;
#endif
  return target.ops->multiplies_bf16;
}

bool follows_streams() {
#if defined(__x86_64__)
  static const bool amd = __builtin_cpu_is("amd") != 0;
  return amd;
#else
  return false;
#endif
}

}  // namespace citius::cpu
