// Linear, and looking up rows as embeddings do, over every instruction set of this machine and every weight format, one thread, on the
// shapes of real models. Counters: multiply-adds a second and bytes of weights a second, or numbers a second.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <random>
#include <vector>

#include "backend/backend.h"
#include "benchmarks.h"
#include "quant/format.h"

namespace citius {
namespace {

struct WeightShape {
  const char* name;
  int64_t outputs, inputs;
};

// Random codes; the bytes are such that scales are finite in every format.
OwnedMatrix random_weight(Format format, int64_t outputs, int64_t inputs) {
  auto storage = std::make_shared<std::vector<std::byte>>(static_cast<size_t>(outputs) * format_row_bytes(format, inputs));
  std::mt19937 random(1);
  for (std::byte& byte : *storage) byte = static_cast<std::byte>(random() & 0x3b);
  return {{format, outputs, inputs, storage->data()}, storage};
}

void run(benchmark::State& state, const std::string& isa, Format format, const WeightShape& shape, int64_t rows, Compute compute) {
  const auto backend = make_backend("cpu", {.num_threads = 1, .isa = isa});
  const OwnedMatrix matrix = random_weight(format, shape.outputs, shape.inputs);
  // As many copies as it takes to leave the caches, as the layers of a model do.
  std::vector<std::unique_ptr<PackedWeight>> copies;
  size_t bytes = 0;
  while (bytes < (size_t{48} << 20) && copies.size() < 32) {
    copies.push_back(backend->pack({&matrix, 1}));
    bytes += copies.back()->bytes();
    if (rows > 32) break;
  }
  std::vector<float> x(static_cast<size_t>(rows * shape.inputs)), y(static_cast<size_t>(rows * shape.outputs));
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 101) * 0.05f - 2.5f;
  LinearArgs args;
  args.input = TensorView(x.data(), DType::kF32, {rows, shape.inputs});
  args.y = TensorView(y.data(), DType::kF32, {rows, shape.outputs});
  args.compute = compute;
  size_t next = 0;
  for (auto _ : state) {
    args.weight = copies[next++ % copies.size()].get();
    backend->linear(args);
  }
  const auto rate = [](double count) { return benchmark::Counter(count, benchmark::Counter::kIsIterationInvariantRate); };
  state.counters["madds_per_s"] = rate(static_cast<double>(rows * shape.inputs * shape.outputs));
  state.counters["weight_bytes_per_s"] = rate(static_cast<double>(copies[0]->bytes()));
}

void look_up(benchmark::State& state, const std::string& isa, Format format, const WeightShape& shape) {
  const auto backend = make_backend("cpu", {.num_threads = 1, .isa = isa});
  const OwnedMatrix matrix = random_weight(format, shape.outputs, shape.inputs);
  const auto weight = backend->pack({&matrix, 1});
  std::vector<float> y(static_cast<size_t>(shape.inputs));
  int64_t row = 0;
  for (auto _ : state) {
    row = (row + 997) % shape.outputs;  // each in another tile than the one before
    weight->decode(row, y.data());
    benchmark::ClobberMemory();
  }
  state.counters["numbers_per_s"] = benchmark::Counter(static_cast<double>(shape.inputs), benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace

void register_benchmarks() {
  const std::vector<WeightShape> shapes = {
      {"minilm_up", 1536, 384}, {"smollm2_down", 576, 1536}, {"smollm2_gate_up", 3072, 576}, {"llama1b_out", 2048, 2048}};
  for (const std::string& isa : available_isas()) {
    for (const Format format : all_formats()) {
      for (const WeightShape& shape : shapes) {
        if (shape.inputs % format_block_elements(format) != 0) continue;
        benchmark::RegisterBenchmark(fmt::format("look_up/{}/{}/{}", format_name(format), shape.name, isa).c_str(),
                                     [=](benchmark::State& state) { look_up(state, isa, format, shape); });
        for (const int64_t rows : {1, 2, 8, 16, 32, 128, 512}) {
          for (const Compute compute : {Compute::kFast, Compute::kExact}) {
            const std::string name = fmt::format("{}/{}/{}/rows:{}/{}", format_name(format), shape.name, isa, rows,
                                                 compute == Compute::kFast ? "fast" : "exact");
            benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { run(state, isa, format, shape, rows, compute); });
          }
        }
      }
    }
  }
}

}  // namespace citius
