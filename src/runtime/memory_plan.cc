#include "runtime/memory_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/memory.h"
#include "base/progress.h"
#include "heads/causal_lm.h"
#include "runtime/encoder.h"
#include "runtime/generator.h"

namespace citius {
namespace {

double rounded_to_blocks(double tokens) {
  const auto block = static_cast<int64_t>(kKvBlock);
  return static_cast<double>((static_cast<int64_t>(tokens) + block - 1) / block * block);
}

// The language-model head of a model that has one and of a checkpoint that holds it.
std::optional<CausalLmHead> load_head(LoadedModel& loaded) {
  const std::optional<HeadLayout> layout = loaded.model->head_layout(HeadKind::kCausalLm);
  if (!layout) return std::nullopt;
  const std::string& weight = layout->steps.at(0).weight;
  if (!weight.empty() && !loaded.source.has(weight + ".weight")) return std::nullopt;
  return CausalLmHead::load(loaded);
}

// What the arena holds and what the backend has needed so far, once the body has run `count` tokens.
struct Measured {
  size_t arena, backend;
};
Measured measure(Engine& engine, int64_t count) {
  const ModelConfig& config = engine.model().config();
  const std::vector<int32_t> zeros(static_cast<size_t>(count), 0);
  std::vector<SequenceSpan> sequences;  // of one token, which every model takes
  for (int32_t i = 0; i < count; ++i) sequences.push_back({i, i + 1, 0, zeros.data()});
  nn::KvCache kv(/*num_layers=*/1, /*num_blocks=*/1, config.kv_heads, config.head_dim, engine.kv_type);
  Arena arena;
  engine.model().forward({*engine.backend, arena, engine.options.compute, nullptr}, {zeros, zeros, {}, sequences}, kv);
  return {arena.peak_bytes(), engine.backend->workspace_bytes()};
}

// Activations and prepared activations grow in proportion to the tokens, scratch does not: two small sizes tell any other.
constexpr int64_t kStep = 16;  // rows of which every allocation is a whole number of cache lines
PerTokens between(size_t small, size_t twice) {
  const double token = static_cast<double>(twice - small) / static_cast<double>(kStep);
  return {static_cast<double>(small) - token * static_cast<double>(kStep), token};
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

std::string MemoryPlan::text() const {
  return fmt::format("weights {}, keys and values {}, workspace {}", format_bytes(weight_bytes), format_bytes(kv_bytes),
                     format_bytes(workspace_bytes));
}

namespace {

// Resident pages of code, libraries and heap were 18 to 21 MB on the models at hand, tables of a tokenizer 70 to 80 bytes a token.
double plan_program(const ModelConfig& config) { return 20e6 + 80.0 * static_cast<double>(config.vocab_size); }

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
  const Measured small = measure(engine, kStep), twice = measure(engine, 2 * kStep);
  plan.activations = between(small.arena, twice.arena);
  plan.workspace_bytes = plan.activations.of(tokens) + between(small.backend, twice.backend).of(tokens);
  plan.program_bytes = plan_program(model.config());
  if (causal) plan.workspace_bytes += plan_long_contexts(engine, context, batch);
  if (head) {
    Arena arena;
    const ForwardContext ctx{*engine.backend, arena, engine.options.compute, nullptr};
    head->forward(ctx, ctx.alloc({std::min(batch, Generator::kLogitRows), model.config().hidden_size}));
    plan.workspace_bytes += static_cast<double>(arena.peak_bytes());
  }
  return plan;
}

int64_t usual_context(const ModelConfig& config) { return std::min<int64_t>(config.max_positions, 4096); }

PerTokens require_model(const Checkpoint& checkpoint, const EngineOptions& options) {
  Engine planned = open_to_plan(checkpoint, options);
  const ModelConfig& config = planned.model().config();
  const int64_t least = config.causal ? std::min<int64_t>(config.max_positions, kKvBlock) : usual_context(config);
  const int64_t context = options.context > 0 ? options.context : least;
  const MemoryPlan plan = plan_memory(planned, context, /*batch=*/1);
  require_memory(
      fmt::format("{} for {} tokens, in all ({}),", checkpoint.path.string(), context, plan.text()), plan.needed(),
      config.causal && options.context > 0 ? "lower the context, or take a smaller model or format" : "take a smaller model or format");
  return plan.activations;
}

double kv_bytes_per_token(const ModelConfig& config, KvType type) {
  return static_cast<double>(2 * config.kv_heads * kv_vector_bytes(type, config.head_dim) * (config.causal ? config.num_layers : 1));
}

}  // namespace citius
