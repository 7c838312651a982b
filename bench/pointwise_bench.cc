// Norms, gated products and rotary embedding over every instruction set of this machine, one thread. Counter:
// elements a second.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <functional>
#include <vector>

#include "backend/backend.h"
#include "benchmarks.h"

namespace citius {
namespace {

constexpr int64_t kRows = 128;

// Runs op(backend, x, y) on [kRows, channels].
using Op = std::function<void(Backend&, const TensorView&, const TensorView&)>;
void run(benchmark::State& state, const std::string& isa, int64_t channels, const Op& op) {
  const auto backend = make_backend("cpu", {.num_threads = 1, .isa = isa});
  std::vector<float> x(static_cast<size_t>(kRows * channels)), y(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 101) * 0.05f - 2.5f;
  const TensorView from(x.data(), DType::kF32, {kRows, channels}), to(y.data(), DType::kF32, {kRows, channels});
  for (auto _ : state) op(*backend, from, to);
  state.counters["elements_per_s"] =
      benchmark::Counter(static_cast<double>(kRows * channels), benchmark::Counter::kIsIterationInvariantRate);
}

void norm(Backend& backend, NormKind kind, const TensorView& x, const TensorView& y) {
  NormArgs args;
  args.x = x;
  args.y = y;
  args.weights.kind = kind;
  args.weights.epsilon = 1e-5f;
  backend.norm(args);
}

}  // namespace

void register_benchmarks() {
  struct Row {
    const char* name;
    int64_t channels;
    Op op;
  };
  const auto gated = [](ActivationKind kind) {
    return [kind](Backend& b, const TensorView& x, const TensorView& y) { b.gated({x, x, kind, y}); };
  };
  const std::vector<Row> rows = {
      {"layer_norm_384", 384, [](Backend& b, const TensorView& x, const TensorView& y) { norm(b, NormKind::kLayerNorm, x, y); }},
      {"rms_norm_576", 576, [](Backend& b, const TensorView& x, const TensorView& y) { norm(b, NormKind::kRmsNorm, x, y); }},
      {"gelu_gated_1536", 1536, gated(ActivationKind::kGelu)},
      {"gelu_tanh_gated_3072", 3072, gated(ActivationKind::kGeluTanh)},
      {"silu_gated_1536", 1536, gated(ActivationKind::kSilu)},
      {"add_576", 576, [](Backend& b, const TensorView& x, const TensorView& y) { b.add({x, x, y}); }},
  };
  for (const std::string& isa : available_isas()) {
    for (const Row& row : rows) {
      benchmark::RegisterBenchmark(fmt::format("{}/{}", row.name, isa).c_str(),
                                   [=](benchmark::State& state) { run(state, isa, row.channels, row.op); });
    }
  }
}

}  // namespace citius
