// Activations rounded to int8, as each kind of weight format wants them, and to bf16: over every instruction set of this machine, one
// thread, everything in the caches. Counter: numbers a second.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <random>
#include <vector>

#include "backend/cpu/op_tasks.h"
#include "backend/cpu/target.h"
#include "benchmarks.h"
#include "quant/format.h"

namespace citius {
namespace {

struct Rows {
  Rows(int64_t count, int64_t channels) : rows(count), cols(channels), x(static_cast<size_t>(count * channels)) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (float& value : x) value = normal(random);
  }
  void count(benchmark::State& state) const {
    state.counters["numbers_per_s"] = benchmark::Counter(static_cast<double>(rows * cols), benchmark::Counter::kIsIterationInvariantRate);
  }
  int64_t rows, cols;
  std::vector<float> x;
};

void quantize(benchmark::State& state, const cpu::Target& target, const cpu::ActivationPlan& plan, int64_t rows, int64_t cols) {
  Rows from(rows, cols);
  cpu::QuantizeTask task = cpu::quantize_task(TensorView(from.x.data(), DType::kF32, {rows, cols}), plan);
  task.code_stride += 64;
  std::vector<int8_t> codes(static_cast<size_t>(rows * task.code_stride));
  std::vector<float> scales(static_cast<size_t>(rows * task.scale_stride)), aux(static_cast<size_t>(rows * task.aux_stride));
  task.codes = codes.data();
  task.scales = scales.data();
  task.aux_out = aux.data();
  for (auto _ : state) {
    target.linear->quantize(task);
    benchmark::ClobberMemory();
  }
  from.count(state);
}

void round_bf16(benchmark::State& state, const cpu::Target& target, int64_t rows, int64_t cols) {
  const Rows from(rows, cols);
  std::vector<float> out(from.x.size());
  for (auto _ : state) {
    target.linear->round_bf16(from.x.data(), cols, rows, cols, out.data(), cols);
    benchmark::ClobberMemory();
  }
  from.count(state);
}

}  // namespace

void register_benchmarks() {
  constexpr int64_t kShapes[][2] = {{1, 576}, {8, 576}, {8, 1536}, {128, 384}, {512, 1536}};
  // One scale a row; groups of 32 with each kind of auxiliary value, and with two of them; groups of 128.
  constexpr Format kFormats[] = {Format::kInt8, Format::kInt8G32, Format::kQ4_1, Format::kInt4ZG32, Format::kQ6K, Format::kInt8G128};
  for (const cpu::Target& target : cpu::available_targets()) {
    for (const auto& [rows, cols] : kShapes) {
      const std::string tail = fmt::format("{}/rows:{}/{}", target.name, rows, cols);
      for (const Format format : kFormats) {
        const cpu::ActivationPlan& plan = target.linear->formats[static_cast<size_t>(format)].plan;
        if (plan.group != 0 && cols % plan.group != 0) continue;
        benchmark::RegisterBenchmark(fmt::format("quantize/{}/{}", format_name(format), tail).c_str(),
                                     [&, rows = rows, cols = cols](benchmark::State& state) { quantize(state, target, plan, rows, cols); });
      }
      benchmark::RegisterBenchmark(fmt::format("round_bf16/{}", tail).c_str(),
                                   [&, rows = rows, cols = cols](benchmark::State& state) { round_bf16(state, target, rows, cols); });
    }
  }
}

}  // namespace citius
