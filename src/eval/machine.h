// The machine at hand: what it has, and what it can do at most as measured. Every share of a limit that citius states is
// against these rates.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/numa.h"
#include "base/thread_pool.h"
#include "quant/format.h"

namespace citius {

struct CacheLevel {
  int level = 0;
  int64_t bytes = 0;  // of one
  int count = 0;
};

struct Accelerator {
  std::string name;
  std::string note;  // what citius uses it for, or why it does not
  bool supported = false;
};

struct MachineInfo {
  std::string cpu;
  int sockets = 0, cores = 0, hardware_threads = 0, numa_nodes = 0;
  MemoryPolicy memory_policy;       // by which memory is placed on the nodes
  int usable_threads = 0;           // affinity and the cgroups' quota respected
  std::optional<double> cpu_quota;  // processors that the cgroups allow
  std::vector<CacheLevel> caches;   // data caches, level 1 first
  std::vector<std::string> isas;    // instruction sets with kernels that run here, best first
  std::string isa;                  // the one in use
  int64_t memory_bytes = 0;
  int64_t available_bytes = 0;                // available_memory()
  std::optional<int64_t> memory_limit_bytes;  // of the cgroups
  std::vector<Accelerator> accelerators;
};

/// Reads the machine's description; takes milliseconds.
MachineInfo describe_machine();

struct ReadRate {
  std::string variant;
  double gb_per_s = 0;
};

struct MachineRates {
  int threads = 1;
  std::vector<ReadRate> reads;  // every variant that was tried; none where too little memory was available
  double read_gb_per_s = 0;     // the best of them
  double fp32_gflops = 0;
  std::optional<double> bf16_gflops;  // none where the machine has no such instruction
  double int8_gops = 0;
};

/// Reads memory on the pool's threads, again and again from one buffer.
class ReadMeter {
 public:
  /// With a buffer that leaves the caches, no larger, and takes a quarter of the memory that is left at most: null where that is too
  /// little.
  static std::unique_ptr<ReadMeter> make(ThreadPool& pool);
  static constexpr int64_t kLeastBytes = int64_t{16} << 20;
  ReadMeter(ThreadPool& pool, int64_t buffer_bytes);
  ~ReadMeter();
  /// Every variant, each tried for `seconds`: the best rate of parts that take a fraction of a millisecond.
  std::vector<ReadRate> measure(double seconds);

 private:
  class Buffer;
  ThreadPool& pool_;
  std::unique_ptr<const Buffer> buffer_;
  int64_t at_ = 0;  // where every thread goes on
};

/// Best read variant on the pool's threads: each is tried for `seconds`. `buffer_bytes` 0 takes four times the last cache,
/// within 256 MiB and 1 GiB and a quarter of available_memory(); where that is less than 16 MiB nothing is measured.
MachineRates measure_reads(ThreadPool& pool, double seconds, int64_t buffer_bytes = 0);
/// Peak arithmetic rates on the pool's threads, each for `seconds`.
void measure_peaks(ThreadPool& pool, double seconds, MachineRates& rates);

/// Whether arithmetic with such activations is faster here than FP32: int8 by half at the least, bf16 by an instruction of its own.
bool gains_arithmetic(const MachineRates& rates, ActivationFormat activation);
/// Rates of all threads that are at least those of one: a busy machine may show less, it cannot do less.
MachineRates at_least(MachineRates all, const MachineRates& one);
/// A sentence where others are at work so that rates will be too low; empty otherwise. Looks at the last minute.
std::string describe_load();

/// What will be fast here and why, one sentence each.
std::vector<std::string> advise(const MachineInfo& machine, const MachineRates& all_threads);

json::object to_json(const MachineInfo& machine);
json::object to_json(const MachineRates& rates);

}  // namespace citius
