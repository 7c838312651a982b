// Attention and the writing of keys and values over every instruction set of this machine: the shapes of MiniLM (encoder)
// and SmolLM2 (prefill, decoding at several contexts). Counters: multiplications a second, and bytes of keys and values
// read a second while decoding.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <numeric>
#include <random>
#include <vector>

#include "backend/backend.h"
#include "benchmarks.h"

namespace citius {
namespace {

struct Scenario {
  const char* name;
  int64_t H, K, D;
  bool causal;
  int64_t past, tokens, batch;
};

constexpr Scenario kScenarios[] = {
    {"minilm_128", 12, 12, 32, false, 0, 128, 1},        {"minilm_128x8", 12, 12, 32, false, 0, 128, 8},
    {"smollm2_prefill_512", 9, 3, 64, true, 0, 512, 1},  {"smollm2_decode_128", 9, 3, 64, true, 127, 1, 1},
    {"smollm2_decode_512", 9, 3, 64, true, 511, 1, 1},   {"smollm2_decode_4096", 9, 3, 64, true, 4095, 1, 1},
    {"smollm2_decode_512x8", 9, 3, 64, true, 511, 1, 8},
};

// Memory, block tables and inputs of one scenario.
struct Problem {
  Problem(const Scenario& s, KvType type) : rows(s.tokens * s.batch) {
    const int64_t length = s.past + s.tokens, blocks = (length + kKvBlock - 1) / kKvBlock;
    kv = {nullptr, type, blocks * s.batch, s.K, s.D};
    memory.resize(kv.block_bytes() * static_cast<size_t>(kv.num_blocks) / sizeof(float) + 16);
    kv.data = reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64);
    table.resize(static_cast<size_t>(kv.num_blocks));
    std::iota(table.begin(), table.end(), 0);
    for (int64_t b = 0; b < s.batch; ++b) {
      spans.push_back({static_cast<int32_t>(b * s.tokens), static_cast<int32_t>((b + 1) * s.tokens), static_cast<int32_t>(s.past),
                       table.data() + b * blocks});
    }
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    for (auto* values : {&q, &k, &v, &out}) {
      values->resize(static_cast<size_t>(rows * s.H * s.D));
      for (float& value : *values) value = normal(generator);
    }
  }
  int64_t rows;
  KvLayer kv;
  std::vector<float> memory, q, k, v, out;
  std::vector<int32_t> table;
  std::vector<SequenceSpan> spans;
};

void attention(benchmark::State& state, const Scenario& s, const std::string& isa, KvType type, int threads) {
  const auto backend = make_backend("cpu", {.num_threads = threads, .isa = isa});
  Problem p(s, type);
  AttentionArgs args;
  args.q = {p.q.data(), DType::kF32, {p.rows, s.H, s.D}};
  args.out = {p.out.data(), DType::kF32, {p.rows, s.H, s.D}};
  args.sequences = p.spans.data();
  args.num_sequences = s.batch;
  args.kv = &p.kv;
  args.scale = 0.125f;
  args.causal = s.causal;
  for (auto _ : state) backend->attention(args);
  const double pairs = s.causal ? static_cast<double>(s.tokens) * (static_cast<double>(s.past) + 0.5 * (static_cast<double>(s.tokens) + 1))
                                : static_cast<double>(s.tokens * s.tokens);
  const auto per_pair = static_cast<double>(s.batch * s.H * s.D * 2);
  state.counters["mul_per_s"] = benchmark::Counter(pairs * per_pair, benchmark::Counter::kIsIterationInvariantRate);
  if (s.tokens == 1) {
    state.counters["bytes_per_s"] = benchmark::Counter(static_cast<double>(p.kv.block_bytes()) * static_cast<double>(p.kv.num_blocks),
                                                       benchmark::Counter::kIsIterationInvariantRate);
  }
}

void kv_write(benchmark::State& state, const Scenario& s, const std::string& isa, KvType type, int threads) {
  const auto backend = make_backend("cpu", {.num_threads = threads, .isa = isa});
  Problem p(s, type);
  const TensorView k(p.k.data(), DType::kF32, {p.rows, s.K, s.D}), v(p.v.data(), DType::kF32, {p.rows, s.K, s.D});
  for (auto _ : state) backend->kv_write({k, v, p.spans.data(), s.batch, &p.kv});
}

}  // namespace

void register_benchmarks() {
  std::vector<int> threads = {1};
  if (const int most = default_num_threads(); most > 1) threads.push_back(most);
  for (const std::string& isa : available_isas()) {
    for (const Scenario& s : kScenarios) {
      for (const KvType type : {KvType::kF32, KvType::kBF16, KvType::kInt8}) {
        for (const int count : threads) {
          const std::string tail = fmt::format("{}/{}/{}/threads:{}", s.name, isa, kv_type_info(type).name, count);
          benchmark::RegisterBenchmark(("attention/" + tail).c_str(), [=](benchmark::State& state) {
            attention(state, s, isa, type, count);
          })->UseRealTime();
          benchmark::RegisterBenchmark(("kv_write/" + tail).c_str(), [=](benchmark::State& state) {
            kv_write(state, s, isa, type, count);
          })->UseRealTime();
        }
      }
    }
  }
}

}  // namespace citius
