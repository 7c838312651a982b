#include "cli/model_flags.h"

#include "base/error.h"
#include "cli/elsewhere.h"
#include "store/store.h"

namespace citius::cli {

void ModelFlags::add_to(CLI::App& app) {
  app.add_option("MODEL", model, "Directory, .gguf file, package, or name in the store")->required();
  app.add_option("--backend", backend, "Backend: cpu, or ref (the slow scalar reference)")->capture_default_str();
  app.add_option("--threads", num_threads, "Threads (default: CITIUS_THREADS, or the cores this process may use)")
      ->check(CLI::Range(1, 1024));
  app.add_option("--compute", compute, "fast, or exact (weights as given, fp32 activations)")
      ->check(CLI::IsMember({"fast", "exact"}))
      ->capture_default_str();
  app.add_option("--format", format, "Convert weights while loading, e.g. int8 (see `citius quantize --list`)");
}

void ModelFlags::add_decoder_flags_to(CLI::App& app) {
  app.add_option("--kv-type", kv_type, "Type of cached keys and values: f32 or bf16")
      ->check(CLI::IsMember({"f32", "bf16"}))
      ->capture_default_str();
  app.add_option("--context", context, "Longest sequence to prepare for (default: what the model allows)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
}

EngineOptions ModelFlags::options() const {
  EngineOptions options;
  options.backend = backend;
  options.num_threads = num_threads;
  options.compute = compute == "exact" ? Compute::kExact : Compute::kFast;
  options.kv_type = kv_type == "bf16" ? KvType::kBF16 : KvType::kF32;
  options.context = context;
  if (!format.empty()) {
    const std::optional<Format> target = parse_format(format);
    if (!target) fail(ErrorKind::kUsage, "--format", "unknown format '{}'; see `citius quantize --list`", format);
    if (!can_encode(*target)) fail(ErrorKind::kUsage, "--format", "weights cannot be converted to {}", format);
    options.policy = [target = *target](const WeightRecord& record) {
      return record.cols % format_block_elements(target) == 0 ? target : record.stored;
    };
  }
  return options;
}

Engine ModelFlags::open() const {
  Engine engine = open_engine(resolve_model(model), options());
  if (engine.options.compute == Compute::kFast && !engine.options.policy) tell_elsewhere(engine);
  return engine;
}

}  // namespace citius::cli
