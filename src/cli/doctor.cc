// citius doctor: what this machine can do, measured.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "base/log.h"
#include "base/progress.h"
#include "base/version.h"
#include "cli/commands.h"
#include "cli/counted.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"
#include "eval/machine.h"

namespace citius::cli {
namespace {

struct Options {
  double seconds = 0.3;
  int threads = 0;
  bool json = false;
};

MachineRates measure(int threads, double seconds, Progress& progress, uint64_t& done) {
  ThreadPool pool(threads);
  MachineRates rates = measure_reads(pool, seconds);
  progress.update(++done);
  measure_peaks(pool, seconds, rates);
  progress.update(++done);
  return rates;
}

std::string placement_text(const MemoryPolicy& policy) {
  if (policy.name == "default") return "on the node of the thread that touches it first";
  return policy.name + (policy.nodes.empty() ? "" : fmt::format(", nodes {}", fmt::join(policy.nodes, ", ")));
}

std::string machine_text(const MachineInfo& machine) {
  std::string text = fmt::format("citius {}\n\nProcessor     {}\n", version(), machine.cpu);
  text += fmt::format("Cores         {} in {}, {}, {}; {} usable\n", machine.cores, counted(machine.sockets, "socket", "sockets"),
                      counted(machine.hardware_threads, "hardware thread", "hardware threads"),
                      counted(machine.numa_nodes, "NUMA node", "NUMA nodes"), counted(machine.usable_threads, "thread", "threads"));
  if (machine.cpu_quota) text += fmt::format("CPU quota     {:.2f} cores (cgroup)\n", *machine.cpu_quota);
  for (const CacheLevel& cache : machine.caches) {
    text += fmt::format("L{} cache      {} x {} KiB\n", cache.level, cache.count, cache.bytes / 1024);
  }
  text += fmt::format("Instructions  {} (kernels here: {})\n", machine.isa, fmt::join(machine.isas, ", "));
  text += fmt::format("Memory        {}, {} available\n", format_bytes(static_cast<double>(machine.memory_bytes)),
                      format_bytes(static_cast<double>(machine.available_bytes)));
  if (machine.numa_nodes > 1) text += fmt::format("Memory placed {}\n", placement_text(machine.memory_policy));
  if (machine.memory_limit_bytes) {
    text += fmt::format("Memory limit  {} (cgroup)\n", format_bytes(static_cast<double>(*machine.memory_limit_bytes)));
  }
  for (const Accelerator& item : machine.accelerators) text += fmt::format("Seen          {}: {}\n", item.name, item.note);
  if (machine.accelerators.empty()) text += "Seen          no GPU and no other accelerator\n";
  return text;
}

std::string rates_text(const MachineRates& one, const MachineRates& all) {
  const auto line = [](const std::string& name, double first, double second, const char* unit) {
    return fmt::format("{:<28}{:>12.1f}{:>14.1f}  {}\n", name, first, second, unit);
  };
  std::string text = fmt::format("\n{:<28}{:>12}{:>14}\n", "Measured", "1 thread", fmt::format("{} threads", all.threads));
  for (size_t i = 0; i < std::min(one.reads.size(), all.reads.size()); ++i) {
    text += line("read, " + all.reads[i].variant, one.reads[i].gb_per_s, all.reads[i].gb_per_s, "GB/s");
  }
  if (one.reads.empty() || all.reads.empty()) {
    text += fmt::format("{:<28}{:>12}{:>14}  (too little memory is available to measure it)\n", "read, best", "-", "-");
  } else {
    text += line("read, best", one.read_gb_per_s, all.read_gb_per_s, "GB/s");
  }
  text += line("FP32 peak", one.fp32_gflops, all.fp32_gflops, "GFLOP/s");
  if (all.bf16_gflops) text += line("BF16 peak", *one.bf16_gflops, *all.bf16_gflops, "GFLOP/s");
  text += line("INT8 peak", one.int8_gops, all.int8_gops, "GOP/s");
  return text + "\n";
}

void run(const Options& options) {
  const MachineInfo machine = describe_machine();
  const std::string load = describe_load();  // before it is our own
  const int threads = options.threads > 0 ? options.threads : machine.usable_threads;
  Progress progress("measure", 4);
  uint64_t done = 0;
  const MachineRates one = measure(1, options.seconds, progress, done);
  const MachineRates all = threads == 1 ? one : measure(threads, options.seconds, progress, done);
  progress.finish();
  const std::vector<std::string> advice = advise(machine, at_least(all, one));
  if (!load.empty()) log_warning("{}", load);
  if (options.json) {
    print_json(json::object{{"version", version()},
                            {"machine", to_json(machine)},
                            {"one_thread", to_json(one)},
                            {"all_threads", to_json(all)},
                            {"advice", json::value_from(advice)}});
    return;
  }
  print(machine_text(machine) + rates_text(one, all));
  for (const std::string& sentence : advice) print("- " + sentence + "\n");
}

}  // namespace

void add_doctor(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("doctor", "What this machine can do: cores, instructions, measured rates; advice");
  command->add_option("--seconds", options->seconds, "Time for each measurement")->check(number_range(0.001, 60))->capture_default_str();
  command->add_option("--threads", options->threads, "Threads (default: those this process may use)")->check(CLI::Range(1, 1024));
  add_json_option(*command, options->json);
  command->footer("Example:\n  citius doctor --json");
  command->callback([options] { run(*options); });
}

}  // namespace citius::cli
