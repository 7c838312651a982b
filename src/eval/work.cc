#include "eval/work.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"
#include "heads/causal_lm.h"
#include "runtime/encoder.h"
#include "runtime/generator.h"

namespace citius {
namespace {

double rounded_to_blocks(double tokens) {
  const auto block = static_cast<int64_t>(kKvBlock);
  return static_cast<double>((static_cast<int64_t>(tokens) + block - 1) / block * block);
}

std::string activation_name(Format format) {
  switch (format_activation(format)) {
    case ActivationFormat::kF32: return "f32";
    case ActivationFormat::kBF16: return "bf16";
    default: return "int8";
  }
}

// The name of the token embedding, and whether the language-model head multiplies by it.
bool head_is_tied(const Model& model) {
  const std::optional<HeadLayout> layout = model.head_layout(HeadKind::kCausalLm);
  return layout && !layout->steps.empty() && layout->steps.front().weight.empty();
}

}  // namespace

WeightTotals weight_totals(const Engine& engine) {
  WeightTotals totals;
  const Model& model = engine.model();
  const bool tied = model.config().causal && head_is_tied(model);
  const std::string& embedding = model.token_embedding().name();
  std::map<std::string, double> by_activation;
  std::set<std::string_view> seen;  // a head may have been loaded more than once
  for (const WeightRecord& record : engine.loaded.load.records) {
    if (!seen.insert(record.name).second) continue;
    const double parameters = static_cast<double>(record.rows) * static_cast<double>(record.cols);
    const double bytes = static_cast<double>(format_row_bytes(record.format, record.cols)) * static_cast<double>(record.rows);
    totals.parameters += parameters;
    totals.resident_bytes += bytes;
    if (record.looked_up && !(tied && record.name == embedding)) {
      totals.embedding_bytes += bytes;
      continue;
    }
    totals.streamed_bytes += bytes;
    totals.products += parameters;
    by_activation[engine.options.compute == Compute::kExact ? "f32" : activation_name(record.format)] += parameters;
    if (record.rows == model.config().vocab_size) totals.head_products += parameters;
  }
  double most = -1;
  for (const auto& [name, parameters] : by_activation) {
    if (parameters <= most) continue;
    most = parameters;
    totals.widest_activation = name;
  }
  return totals;
}

double kv_bytes_per_token(const ModelConfig& config, KvType type) {
  return static_cast<double>(2 * config.kv_heads * kv_vector_bytes(type, config.head_dim) * (config.causal ? config.num_layers : 1));
}

Work work_of(const Engine& engine, const Workload& workload) {
  const ModelConfig& config = engine.model().config();
  const WeightTotals totals = weight_totals(engine);
  const double kv = kv_bytes_per_token(config, engine.kv_type);
  // Scores and the weighted sum of values, a query against one key, in all layers.
  const double attention =
      4.0 * static_cast<double>(config.heads) * static_cast<double>(config.head_dim) * static_cast<double>(config.num_layers);
  const auto batch = static_cast<double>(workload.batch), length = static_cast<double>(workload.length);
  Work work;
  if (workload.kind == Workload::Kind::kDecode) {
    const double mean_past = static_cast<double>(workload.prompt) + (length + 1) / 2;
    work.bytes = length * (totals.streamed_bytes + batch * kv * mean_past);
    work.operations = length * batch * (2 * totals.products + attention * mean_past);
    return work;
  }
  for (const std::vector<int64_t>& lengths : workload.batches()) {
    double tokens = 0, pairs = 0;
    for (int64_t sequence : lengths) {
      const auto size = static_cast<double>(sequence);
      tokens += size;
      pairs += config.causal ? size * (size + 1) / 2 : size * size;
    }
    work.bytes += totals.streamed_bytes;
    work.operations += 2 * (totals.products - totals.head_products) * tokens +
                       2 * totals.head_products * static_cast<double>(lengths.size()) + attention * pairs;
  }
  return work;
}

namespace {

// The language-model head of a model that has one and of a checkpoint that holds it.
std::optional<CausalLmHead> load_head(LoadedModel& loaded) {
  const std::optional<HeadLayout> layout = loaded.model->head_layout(HeadKind::kCausalLm);
  if (!layout) return std::nullopt;
  const std::string& weight = layout->steps.at(0).weight;
  if (!weight.empty() && !loaded.source.has(weight + ".weight")) return std::nullopt;
  return CausalLmHead::load(loaded);
}

// Activations and prepared activations grow in proportion to the tokens, scratch does not: two small sizes tell any other.
template <typename Measure>
double extrapolate(int64_t tokens, const Measure& measure) {
  constexpr int64_t kStep = 16;  // rows of which every allocation is a whole number of cache lines
  const auto small = static_cast<double>(measure(kStep)), twice = static_cast<double>(measure(2 * kStep));
  return small + (twice - small) * static_cast<double>(tokens - kStep) / static_cast<double>(kStep);
}

// What attention needs more where it decodes after `context` tokens and shares them out to threads: most with few sequences.
double plan_long_contexts(Engine& engine, int64_t context, int64_t batch) {
  const ModelConfig& config = engine.model().config();
  KvLayer kv{nullptr, engine.kv_type, 1, config.kv_heads, config.head_dim};
  const SequenceSpan last{0, 1, static_cast<int32_t>(context - 1), nullptr};
  const size_t before = engine.backend->workspace_bytes();
  std::vector<SequenceSpan> sequences;
  for (int64_t count = 1; count <= std::min(batch, SchedulerOptions().max_running); ++count) {
    sequences.push_back(last);
    AttentionArgs args;
    args.q = TensorView(nullptr, DType::kF32, {count, config.heads, config.head_dim});
    args.sequences = sequences.data();
    args.num_sequences = count;
    args.kv = &kv;
    engine.backend->attention(args);
  }
  return static_cast<double>(engine.backend->workspace_bytes() - before);
}

}  // namespace

MemoryPlan plan_memory(Engine& engine, int64_t context, int64_t batch) {
  CHECK(engine.backend->name() == "plan");
  const Model& model = engine.model();
  const std::optional<CausalLmHead> head = load_head(engine.loaded);
  // A decoder keeps all sequences and feeds a chunk of them at a time, an encoder takes as many whole sequences as fill a batch.
  const bool causal = model.config().causal;
  const int64_t at_once =
      causal ? batch : std::min(batch, std::max<int64_t>(1, Encoder::kTokensPerThread * engine.backend->num_threads() / context));
  const int64_t tokens = causal ? std::min(GeneratorOptions().prefill_chunk, batch * context) : at_once * context;
  MemoryPlan plan;
  plan.weight_bytes = static_cast<double>(engine.loaded.load.packed_bytes);
  plan.kv_bytes =
      kv_bytes_per_token(model.config(), engine.kv_type) * rounded_to_blocks(static_cast<double>(context)) * static_cast<double>(at_once);
  plan.workspace_bytes = extrapolate(tokens, [&](int64_t count) {
    const std::vector<int32_t> zeros(static_cast<size_t>(count), 0);
    std::vector<SequenceSpan> sequences;  // of one token, which every model takes
    for (int32_t i = 0; i < count; ++i) sequences.push_back({i, i + 1, 0, zeros.data()});
    nn::KvCache kv(/*num_layers=*/1, /*num_blocks=*/1, model.config().kv_heads, model.config().head_dim, engine.kv_type);
    Arena arena;
    model.forward({*engine.backend, arena, engine.options.compute, nullptr}, {zeros, zeros, {}, sequences}, kv);
    return arena.peak_bytes() + engine.backend->workspace_bytes();
  });
  if (causal) plan.workspace_bytes += plan_long_contexts(engine, context, batch);
  if (head) {
    Arena arena;
    const ForwardContext ctx{*engine.backend, arena, engine.options.compute, nullptr};
    head->forward(ctx, ctx.alloc({std::min(batch, Generator::kLogitRows), model.config().hidden_size}));
    plan.workspace_bytes += static_cast<double>(arena.peak_bytes());
  }
  return plan;
}

}  // namespace citius
