#include "cli/model_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/log.h"
#include "base/thread_pool.h"
#include "cli/elsewhere.h"
#include "compress/format_plan.h"
#include "store/store.h"

namespace citius::cli {

CLI::Validator number_range(double low, double high) {
  const auto check = [low, high](const std::string& text) {
    double value = 0;
    const bool good = CLI::detail::lexical_cast(text, value) && value >= low && value <= high;
    return good ? std::string() : fmt::format("got '{}', expected a number from {} to {}", text, low, high);
  };
  return CLI::Validator(check, fmt::format("FLOAT in [{} - {}]", low, high));
}

CLI::Validator seed_range() {
  // CLI11 wraps and saturates.
  const auto check = [](const std::string& text) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool good = error == std::errc() && end == text.data() + text.size();
    return good ? std::string() : fmt::format("got '{}', expected a whole number from 0 to 2^64 - 1", text);
  };
  return CLI::Validator(check, "0 to 2^64 - 1");
}

CLI::Option* add_seed_option(CLI::App& app, uint64_t& seed, const std::string& help) {
  return app.add_option("--seed", seed, help)->check(seed_range())->capture_default_str();
}

CLI::Option* add_kv_type_option(CLI::App& app, std::optional<KvType>& type) {
  std::vector<std::string> names;
  for (const KvTypeInfo& info : kKvTypes) names.emplace_back(info.name);
  const auto set = [&type, names](const std::string& name) {
    const auto found = std::find(names.begin(), names.end(), name);
    type.reset();
    if (found != names.end()) type = static_cast<KvType>(found - names.begin());
  };
  std::vector<std::string> choices = names;
  choices.insert(choices.begin(), "auto");
  return app
      .add_option_function<std::string>("--kv-type", set,
                                        "Type of keys and values; int8 has a scale a token and head; auto: bf16 where this machine "
                                        "gains by it and most weights round activations anyway, else f32")
      ->check(CLI::IsMember(choices))
      ->default_str("auto");
}

void warn_of_threads(const std::string& text) {
  const int cores = default_num_threads();
  if (std::stoi(text) > cores) log_warning("--threads: got {}, but there are {} cores: more threads than that are slower", text, cores);
}

void add_threads_option(CLI::App& app, int& num_threads) {
  app.add_option("--threads", num_threads, "Threads (default: CITIUS_THREADS, or the hardware threads this process may use)")
      ->check(CLI::Range(1, 1024))
      ->each(warn_of_threads);
}

void add_compute_option(CLI::App& app, std::string& compute) {
  app.add_option("--compute", compute, "fast, or exact (weights as given, fp32 activations)")
      ->check(CLI::IsMember({"fast", "exact"}))
      ->capture_default_str();
}

void ModelFlags::add_to(CLI::App& app) {
  app.add_option("MODEL", model, "Directory, .gguf file, package, or name in the store")->required();
  app.add_option("--backend", backend, "Backend: cpu, or ref (the slow scalar reference)")
      ->check(CLI::IsMember({"cpu", "ref"}))
      ->capture_default_str();
  add_threads_option(app, num_threads);
  add_compute_option(app, compute);
  app.add_option("--format", format, "Convert weights while loading, e.g. int8 (see `citius quantize --list`)");
  add_kv_type_option(app, kv_type);
}

void ModelFlags::add_decoder_flags_to(CLI::App& app) {
  app.add_option("--context", context, "Longest sequence to prepare for (default: what the model allows)")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 24));
}

EngineOptions ModelFlags::options() const {
  EngineOptions options;
  options.backend = backend;
  options.num_threads = num_threads;
  options.compute = compute == "exact" ? Compute::kExact : Compute::kFast;
  options.kv_type = kv_type;
  options.context = context;
  options.cache = StartCache(cache_directory());
  return options;
}

namespace {

// What a package was verified to keep holds in the mode that it was verified in.
void warn_of_compute(const Engine& engine) {
  const json::value* const recipe = engine.checkpoint.package.if_contains("recipe");
  const json::value* const mode = recipe != nullptr && recipe->is_object() ? recipe->as_object().if_contains("compute") : nullptr;
  if (mode == nullptr || !mode->is_string() || mode->as_string() != "exact" || engine.options.compute == Compute::kExact) return;
  log_warning("the package was verified with --compute exact; this is --compute fast, in which it may be further from the original");
}

uint64_t num_matrices(const Checkpoint& checkpoint) {
  if (checkpoint.weights == nullptr) return 0;
  const TensorContainer& weights = *checkpoint.weights;
  return static_cast<uint64_t>(std::count_if(weights.names().begin(), weights.names().end(),
                                             [&](const std::string& name) { return weights.shape(name).rank() >= 2; }));
}

}  // namespace

Engine ModelFlags::open() const { return open(options()); }

Engine ModelFlags::open(EngineOptions options) const {
  const std::filesystem::path path = resolve_model(model);
  if (!format.empty()) {
    const FormatPlan plan = plan_of_name(format);  // an unknown name is an error before anything is loaded
    options.policy = make_policy(plan, plan_target(open_to_plan(open_checkpoint(path), options).model()));
  }
  Checkpoint checkpoint = open_checkpoint(path);
  Progress progress("weights loaded", num_matrices(checkpoint));
  options.progress = &progress;
  Engine engine = open_engine(std::move(checkpoint), options);
  progress.wipe();
  warn_of_compute(engine);
  if (!engine.options.policy) tell_elsewhere(engine);
  return engine;
}

}  // namespace citius::cli
