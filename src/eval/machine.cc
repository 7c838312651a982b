#include "eval/machine.h"

#include <hwloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "backend/backend.h"
#include "backend/probe.h"
#include "base/cgroup.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"
#include "base/signal.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

// First line of a small file of /proc or /sys; empty where there is none.
std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// A value of /proc/meminfo or /proc/cpuinfo.
std::string proc_value(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const size_t begin = line.find_first_not_of(" \t", colon + 1);
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

int64_t meminfo_bytes(std::string_view key) { return std::strtoll(proc_value("/proc/meminfo", key).c_str(), nullptr, 10) * 1024; }

void read_topology(MachineInfo& machine) {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0) return;
  const std::unique_ptr<hwloc_topology, decltype(&hwloc_topology_destroy)> topology(raw, hwloc_topology_destroy);
  if (hwloc_topology_load(raw) != 0) return;
  const auto count = [&](hwloc_obj_type_t type) { return std::max(0, hwloc_get_nbobjs_by_type(raw, type)); };
  machine.sockets = count(HWLOC_OBJ_PACKAGE);
  machine.cores = count(HWLOC_OBJ_CORE);
  machine.hardware_threads = count(HWLOC_OBJ_PU);
  machine.numa_nodes = count(HWLOC_OBJ_NUMANODE);
  const hwloc_obj_type_t levels[] = {HWLOC_OBJ_L1CACHE, HWLOC_OBJ_L2CACHE, HWLOC_OBJ_L3CACHE};
  for (int level = 1; level <= 3; ++level) {
    const hwloc_obj_t cache = hwloc_get_obj_by_type(raw, levels[level - 1], 0);
    if (cache == nullptr) continue;
    machine.caches.push_back({level, static_cast<int64_t>(cache->attr->cache.size), count(levels[level - 1])});
  }
}

void read_limits(MachineInfo& machine) {
  machine.usable_threads = default_num_threads();
  machine.memory_bytes = meminfo_bytes("MemTotal");
  machine.available_bytes = available_memory();
  machine.cpu_quota = cgroup_cpus();
  if (const auto memory = cgroup_memory()) machine.memory_limit_bytes = memory->limit;
}

struct PciVendor {
  unsigned id;
  const char* name;
};
constexpr PciVendor kVendors[] = {{0x10de, "NVIDIA"}, {0x1002, "AMD"},       {0x8086, "Intel"},   {0x1ae0, "Google"},
                                  {0x1d0f, "Amazon"}, {0x1da3, "Habana"},    {0x10ee, "Xilinx"},  {0x1d22, "Baidu"},
                                  {0x19e5, "Huawei"}, {0x1cc9, "Cambricon"}, {0x17cb, "Qualcomm"}};

unsigned pci_number(const fs::path& path) { return static_cast<unsigned>(std::strtoul(first_line(path).c_str(), nullptr, 16)); }

// Display controllers (PCI class 03) and processing accelerators (12) of makers of accelerators; a virtual machine's
// frame buffer is neither.
void find_pci(std::vector<Accelerator>& found) {
  std::error_code error;
  for (const auto& device : fs::directory_iterator("/sys/bus/pci/devices", error)) {
    const unsigned kind = pci_number(device.path() / "class") >> 16;
    const unsigned vendor = pci_number(device.path() / "vendor");
    if (kind != 0x03 && kind != 0x12) continue;
    for (const PciVendor& known : kVendors) {
      if (known.id != vendor) continue;
      found.push_back({fmt::format("{} {} [{:04x}:{:04x}]", known.name, kind == 0x03 ? "GPU" : "accelerator", vendor,
                                   pci_number(device.path() / "device")),
                       "not supported: citius runs on the processor"});
    }
  }
}

void find_accelerators(MachineInfo& machine) {
  std::error_code error;
  for (const auto& gpu : fs::directory_iterator("/proc/driver/nvidia/gpus", error)) {
    machine.accelerators.push_back(
        {"NVIDIA " + proc_value((gpu.path() / "information").c_str(), "Model"), "not supported: citius runs on the processor"});
  }
  if (machine.accelerators.empty()) find_pci(machine.accelerators);
  const std::string flags = " " + proc_value("/proc/cpuinfo", "flags") + " ";
  if (flags.find(" amx_tile ") != std::string::npos) {
    const bool has = std::ranges::find(machine.isas, "avx512_amx") != machine.isas.end();
    machine.accelerators.push_back({"Intel AMX (in the processor)",
                                    !has ? "not used: the system does not let programs use it, or it lacks bf16 or int8"
                                    : machine.isa == "avx512_amx"
                                        ? "used by int8, bf16 and formats with groups"
                                        : fmt::format("not used: the instruction set asked for is {}", machine.isa),
                                    has});
  }
}

int64_t last_cache_bytes(const MachineInfo& machine) {
  return machine.caches.empty() ? 0 : machine.caches.back().bytes * machine.caches.back().count;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Runs `body` on all threads again and again for `seconds`, `next` between the rounds; the best rate of `work` per second.
template <typename F, typename Next>
double best_rate(ThreadPool& pool, double seconds, double work, const F& body, const Next& next) {
  double best = 0;
  const auto start = std::chrono::steady_clock::now();
  do {
    check_interrupted();
    const auto begin = std::chrono::steady_clock::now();
    pool.run(body);
    best = std::max(best, work / seconds_since(begin));
    next();
  } while (seconds_since(start) < seconds);
  return best;
}

std::optional<double> peak_rate(ThreadPool& pool, double seconds, const PeakProbe& probe) {
  if (probe.run == nullptr) return std::nullopt;
  // About two milliseconds a round, so that a round fits between interruptions of a busy machine.
  constexpr int64_t kSteps = 400'000;
  std::vector<float> sinks(static_cast<size_t>(pool.num_threads()) * 16);
  const double work = static_cast<double>(probe.operations) * kSteps * pool.num_threads();
  return best_rate(pool, seconds, work, [&](int thread, int) { sinks[static_cast<size_t>(thread) * 16] = probe.run(kSteps); }, [] {}) / 1e9;
}

}  // namespace

MachineInfo describe_machine() {
  MachineInfo machine;
  machine.cpu = proc_value("/proc/cpuinfo", "model name");
  if (machine.cpu.empty()) machine.cpu = "unknown processor";
  read_topology(machine);
  machine.memory_policy = memory_policy();
  read_limits(machine);
  machine.isas = available_isas();
  machine.isa = probe_isa();
  find_accelerators(machine);
  return machine;
}

// Memory of whole pages, each first touched by the thread that will read it; over several NUMA nodes spread as weights are, so that this is
// what decode can reach.
class ReadMeter::Buffer {
 public:
  Buffer(ThreadPool& pool, int64_t bytes) : part_(bytes / pool.num_threads() / kPage * kPage) {
    if (part_ < kPage) fail(ErrorKind::kUsage, "doctor", "the read buffer is too small, got {} bytes", bytes);
    // Large pages, as packed weights have: with small ones the walks through the page table are part of what is measured.
    const int64_t size = (part_ * pool.num_threads() + 2 * kPage + kLargePage - 1) / kLargePage * kLargePage;
    data_.reset(static_cast<uint8_t*>(std::aligned_alloc(kLargePage, static_cast<size_t>(size))));
    if (!data_) fail(ErrorKind::kResource, "doctor", "no memory for a read buffer of {} bytes", bytes);
    ::madvise(data_.get(), static_cast<size_t>(size), MADV_HUGEPAGE);
    pool.run([&](int thread, int) { std::fill_n(data_.get() + thread * part_, part_, static_cast<uint8_t>(thread + 1)); });
  }
  const uint8_t* part(int thread) const { return data_.get() + thread * part_; }
  int64_t part_bytes() const { return part_; }

 private:
  static constexpr int64_t kPage = 4096;
  static constexpr int64_t kLargePage = int64_t{2} << 20;
  struct Free {
    void operator()(uint8_t* data) const { std::free(data); }
  };
  int64_t part_;
  std::unique_ptr<uint8_t, Free> data_;
};

ReadMeter::ReadMeter(ThreadPool& pool, int64_t buffer_bytes) : pool_(pool), buffer_(std::make_unique<Buffer>(pool, buffer_bytes)) {}
ReadMeter::~ReadMeter() = default;

std::unique_ptr<ReadMeter> ReadMeter::make(ThreadPool& pool) {
  constexpr int64_t kUnknownCache = int64_t{64} << 20, kMost = int64_t{1} << 30;
  const int64_t cache = last_cache_bytes(describe_machine());
  const int64_t bytes = std::min({4 * (cache > 0 ? cache : kUnknownCache), kMost, available_memory() / 4});
  return bytes < kLeastBytes ? nullptr : std::make_unique<ReadMeter>(pool, bytes);
}

std::vector<ReadRate> ReadMeter::measure(double seconds) {
  std::vector<ReadRate> rates;
  std::vector<uint32_t> sinks(static_cast<size_t>(pool_.num_threads()) * 16);
  // A round walks on by 8 MiB a thread, a fraction of a millisecond: on a busy machine some rounds are not interrupted.
  const int64_t step = std::min(buffer_->part_bytes(), int64_t{8} << 20);
  const double work = static_cast<double>(step) * pool_.num_threads();
  for (const ReadProbe& probe : probe_kernels().reads) {
    const double rate = best_rate(
        pool_, seconds, work,
        [&](int thread, int) { sinks[static_cast<size_t>(thread) * 16] = probe.run(buffer_->part(thread) + at_, step); },
        [&] { at_ = at_ + 2 * step <= buffer_->part_bytes() ? at_ + step : 0; });
    rates.push_back({probe.name, rate / 1e9});
  }
  return rates;
}

MachineRates measure_reads(ThreadPool& pool, double seconds, int64_t buffer_bytes) {
  MachineRates rates;
  rates.threads = pool.num_threads();
  if (buffer_bytes == 0) {
    const MachineInfo machine = describe_machine();
    buffer_bytes = std::clamp(4 * last_cache_bytes(machine), int64_t{256} << 20, int64_t{1} << 30);
    buffer_bytes = std::min(buffer_bytes, machine.available_bytes / 4);
    if (buffer_bytes < ReadMeter::kLeastBytes) return rates;
  }
  rates.reads = ReadMeter(pool, buffer_bytes).measure(seconds);
  for (const ReadRate& read : rates.reads) rates.read_gb_per_s = std::max(rates.read_gb_per_s, read.gb_per_s);
  return rates;
}

void measure_peaks(ThreadPool& pool, double seconds, MachineRates& rates) {
  const ProbeKernels& probes = probe_kernels();
  rates.threads = pool.num_threads();
  rates.fp32_gflops = peak_rate(pool, seconds, probes.fp32).value_or(0);
  rates.bf16_gflops = peak_rate(pool, seconds, probes.bf16);
  rates.int8_gops = peak_rate(pool, seconds, probes.int8).value_or(0);
}

bool gains_arithmetic(const MachineRates& rates, ActivationFormat activation) {
  switch (activation) {
    case ActivationFormat::kF32: return false;
    case ActivationFormat::kBF16: return rates.fp32_gflops > 0 && rates.bf16_gflops.value_or(0) >= 1.5 * rates.fp32_gflops;
    default: return rates.fp32_gflops > 0 && rates.int8_gops >= 1.5 * rates.fp32_gflops;
  }
}

MachineRates at_least(MachineRates all, const MachineRates& one) {
  if (all.reads.empty()) all.reads = one.reads;
  for (size_t i = 0; i < std::min(all.reads.size(), one.reads.size()); ++i)
    all.reads[i].gb_per_s = std::max(all.reads[i].gb_per_s, one.reads[i].gb_per_s);
  all.read_gb_per_s = std::max(all.read_gb_per_s, one.read_gb_per_s);
  all.fp32_gflops = std::max(all.fp32_gflops, one.fp32_gflops);
  if (all.bf16_gflops) all.bf16_gflops = std::max(all.bf16_gflops, one.bf16_gflops);
  all.int8_gops = std::max(all.int8_gops, one.int8_gops);
  return all;
}

std::string describe_load() {
  double load = 0;
  const long processors = ::sysconf(_SC_NPROCESSORS_ONLN);
  if (::getloadavg(&load, 1) != 1 || load < 0.25 * static_cast<double>(processors)) return "";
  return fmt::format(
      "the machine was busy in the last minute (load {:.1f} on {} processors): rates may be too low, measure again when it is quiet", load,
      processors);
}

std::vector<std::string> advise(const MachineInfo& machine, const MachineRates& rates) {
  std::vector<std::string> advice;
  if (gains_arithmetic(rates, ActivationFormat::kInt8PerToken)) {
    advice.push_back(fmt::format("int8 is fast for prompts, batches and encoders: {:.0f} GOP/s, {:.1f} times the FP32 peak ({})",
                                 rates.int8_gops, rates.int8_gops / rates.fp32_gflops, machine.isa));
  } else {
    advice.push_back(fmt::format("int8 gains little arithmetic here: {:.0f} GOP/s against {:.0f} GFLOP/s in FP32 ({})", rates.int8_gops,
                                 rates.fp32_gflops, machine.isa));
  }
  if (gains_arithmetic(rates, ActivationFormat::kBF16)) {
    advice.push_back(fmt::format("bf16 is fast: {:.0f} GFLOP/s by its own instruction", *rates.bf16_gflops));
  } else {
    advice.push_back(
        rates.bf16_gflops
            ? fmt::format("bf16 saves memory, not arithmetic: its own instruction gives {:.0f} GFLOP/s here", *rates.bf16_gflops)
            : "bf16 saves memory, not arithmetic: this processor has no bf16 dot product, two FP32 operations do it");
  }
  const std::string reads = "Generating for one user reads every weight once a token: ";
  advice.push_back(rates.reads.empty() ? reads + "fewer bits are faster; the rate of reads is unknown, too little memory is available"
                                       : fmt::format("{}{:.0f} GB/s allow a 1B model {:.0f} tokens/s in f32, {:.0f} in int8-g32, {:.0f} in "
                                                     "int4-g32; fewer bits are faster",
                                                     reads, rates.read_gb_per_s, rates.read_gb_per_s / 4, rates.read_gb_per_s / 1.0625,
                                                     rates.read_gb_per_s / 0.5625));
  return advice;
}

json::object to_json(const MachineInfo& machine) {
  json::array caches;
  for (const CacheLevel& cache : machine.caches) {
    caches.push_back({{"level", cache.level}, {"bytes", cache.bytes}, {"count", cache.count}});
  }
  json::array accelerators;
  for (const Accelerator& item : machine.accelerators) {
    accelerators.push_back({{"name", item.name}, {"supported", item.supported}, {"note", item.note}});
  }
  const auto or_null = [](const auto& value) { return value ? json::value(*value) : json::value(nullptr); };
  return {{"cpu", machine.cpu},
          {"sockets", machine.sockets},
          {"cores", machine.cores},
          {"hardware_threads", machine.hardware_threads},
          {"usable_threads", machine.usable_threads},
          {"cpu_quota_cores", or_null(machine.cpu_quota)},
          {"numa_nodes", machine.numa_nodes},
          {"memory_policy", {{"name", machine.memory_policy.name}, {"nodes", json::value_from(machine.memory_policy.nodes)}}},
          {"caches", caches},
          {"isa", machine.isa},
          {"isas", json::value_from(machine.isas)},
          {"memory_bytes", machine.memory_bytes},
          {"available_bytes", machine.available_bytes},
          {"memory_limit_bytes", or_null(machine.memory_limit_bytes)},
          {"accelerators", accelerators}};
}

json::object to_json(const MachineRates& rates) {
  json::array reads;
  for (const ReadRate& read : rates.reads) reads.push_back({{"variant", read.variant}, {"gb_per_s", read.gb_per_s}});
  return {{"threads", rates.threads},
          {"read_gb_per_s", rates.reads.empty() ? json::value(nullptr) : json::value(rates.read_gb_per_s)},
          {"reads", reads},
          {"fp32_gflop_per_s", rates.fp32_gflops},
          {"bf16_gflop_per_s", rates.bf16_gflops ? json::value(*rates.bf16_gflops) : json::value(nullptr)},
          {"int8_gop_per_s", rates.int8_gops}};
}

}  // namespace citius
