#include "runtime/engine.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "io/package.h"
#include "runtime/load_tokenizer.h"
#include "runtime/memory_plan.h"
#include "runtime/receipt.h"

namespace citius {
namespace {

// Compares a package with its digests; then replays its receipt, unless that passed before, another backend is in use or weights are
// converted (the receipt is of the formats as stored), and tells where its measurements were taken on other hardware.
void check_package(Engine& engine) {
  const StartCache& cache = engine.options.cache;
  check_package_digests(engine.checkpoint.path, engine.checkpoint.package, [&](const auto& file) { return cache.sha256(file); });
  const JsonObject package(engine.checkpoint.package, (engine.checkpoint.path / "citius.json").string());
  if (package.has("receipt") && engine.backend->name() == "cpu" && !engine.options.policy) {
    const Engine& e = engine;
    const std::string key = fmt::format("receipt {} {} {} {} {}", package.get_string("digest"), e.backend->isa(), e.backend->packing(),
                                        e.model().config().max_positions, kv_type_info(e.kv_type).name);
    if (!cache.passed(key)) {
      check_receipt(engine, package.get_object("receipt").object());
      cache.remember_passed(key);
    }
  }
  if (!package.has("measurements")) return;
  const JsonObject measurements = package.get_object("measurements");
  if (!measurements.has("machine")) return;
  const std::string isa = measurements.get_object("machine").get_string("isa", "");
  if (!isa.empty() && engine.backend->name() == "cpu" && isa != engine.backend->isa()) {
    log_warning("{} was optimized for {}, this is {}: its speed is not that of its report", engine.checkpoint.path.string(), isa,
                engine.backend->isa());
  }
}

KvType suitable_kv_type(const Backend& backend, const LoadedModel& loaded, Compute compute) {
  // Decoders gain by reading half the bytes too, the more the longer the context.
  const ModelConfig& config = loaded.model->config();
  const bool gains = config.causal ? backend.multiplies_bf16() : backend.gains_bf16(config.head_dim);
  if (compute != Compute::kFast || !gains) return KvType::kF32;
  int64_t rounded = 0, all = 0;
  for (const WeightRecord& record : loaded.load.records) {
    if (record.looked_up) continue;
    all += record.rows * record.cols;
    if (format_activation(record.format) != ActivationFormat::kF32) rounded += record.rows * record.cols;
  }
  return 2 * rounded > all ? KvType::kBF16 : KvType::kF32;
}

}  // namespace

Engine open_engine(const std::filesystem::path& path, const EngineOptions& options) { return open_engine(open_checkpoint(path), options); }

Engine open_engine(Checkpoint checkpoint, const EngineOptions& options) {
  std::unique_ptr<Backend> backend = make_backend(options.backend, {options.num_threads, options.isa});
  std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(checkpoint, options.cache);
  // The other backends read weights where they are stored.
  const PerTokens activations =
      checkpoint.weights != nullptr && backend->name() == "cpu" ? require_model(checkpoint, options) : PerTokens{};
  const auto packed = [&] { return options.policy ? nullptr : options.cache.packed_file(checkpoint, backend->packing()); };
  LoadedModel loaded = load_model(checkpoint, *backend, {options.policy, options.context, options.compute, packed, options.progress});
  const auto vocab = static_cast<int64_t>(tokenizer != nullptr ? tokenizer->vocab_size() : 0);
  if (vocab > loaded.model->config().vocab_size) {
    // As transformers does: who runs the model refuses an id that the embedding lacks.
    log_warning("{}: the tokenizer has {} tokens, the model's embedding only {}: texts with one of the others are refused",
                checkpoint.path.string(), vocab, loaded.model->config().vocab_size);
  }
  if (tokenizer != nullptr) tokenizer->accept_ids(static_cast<size_t>(loaded.model->config().vocab_size));
  const KvType kv_type = options.kv_type.value_or(suitable_kv_type(*backend, loaded, options.compute));
  Engine engine{options, std::move(checkpoint), std::move(backend), std::move(tokenizer), std::move(loaded), kv_type, activations};
  engine.options.progress = nullptr;
  if (!engine.checkpoint.package.empty()) check_package(engine);
  return engine;
}

Engine open_to_plan(Checkpoint checkpoint, EngineOptions options) {
  options.backend = "plan";
  options.progress = nullptr;
  options.cache = {};
  std::unique_ptr<Backend> backend = make_backend(options.backend, {options.num_threads, options.isa});
  LoadedModel loaded = load_model(checkpoint, *backend, {options.policy, options.context, options.compute, {}, nullptr});
  const KvType kv_type = options.kv_type.value_or(suitable_kv_type(*backend, loaded, options.compute));
  return {options, std::move(checkpoint), std::move(backend), nullptr, std::move(loaded), kv_type, {}};
}

}  // namespace citius
