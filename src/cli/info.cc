// citius info: what a model is, how its weights are stored, and the memory it needs.
#include <fmt/format.h>

#include <map>

#include "base/error.h"
#include "base/memory.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/counted.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"
#include "compress/format_plan.h"
#include "eval/random_weights.h"
#include "eval/work.h"
#include "runtime/engine.h"
#include "store/store.h"

namespace citius::cli {
namespace {

struct InfoArgs {
  std::string model, isa, format, compute = "fast";
  std::optional<KvType> kv_type;
  int num_threads = 0;
  int64_t context = 0;
  int64_t batch = 1;
  bool json = false;
};

struct Stored {
  double parameters = 0, bytes = 0;
  int64_t matrices = 0;
};

// By kind of weight and format.
std::map<std::pair<std::string, std::string>, Stored> group_weights(const Engine& engine) {
  std::map<std::pair<std::string, std::string>, Stored> groups;
  for (const WeightRecord& record : engine.loaded.load.records) {
    Stored& stored = groups[{std::string(kind_name(place_of(record.name).kind)), std::string(format_name(record.format))}];
    stored.parameters += static_cast<double>(record.rows) * static_cast<double>(record.cols);
    stored.bytes += static_cast<double>(format_row_bytes(record.format, record.cols)) * static_cast<double>(record.rows);
    ++stored.matrices;
  }
  return groups;
}

// Of the whole checkpoint, heads, biases and norms included.
int64_t count_parameters(const TensorContainer& weights) {
  int64_t count = 0;
  for (const std::string& name : weights.names()) {
    const bool computed = name == "rope_freqs.weight" || name.ends_with("rotary_emb.inv_freq") || name.ends_with("position_ids");
    if (!computed) count += weights.shape(name).num_elements();
  }
  return count;
}

json::object info_json(const InfoArgs& args, Engine& engine, int64_t context, bool bare) {
  const ModelConfig& config = engine.model().config();
  const MemoryPlan plan = plan_memory(engine, context, args.batch);
  json::object info;
  info["model"] = args.model;
  info["container"] = bare                                 ? "configuration"
                      : !engine.checkpoint.package.empty() ? "package"
                      : engine.checkpoint.is_gguf()        ? "gguf"
                                                           : "huggingface";
  info["architecture"] = config.architecture;
  info["causal"] = config.causal;
  info["layers"] = config.num_layers;
  info["hidden_size"] = config.hidden_size;
  info["intermediate_size"] = config.intermediate_size;
  info["heads"] = config.heads;
  info["kv_heads"] = config.kv_heads;
  info["head_dim"] = config.head_dim;
  info["vocab_size"] = config.vocab_size;
  info["max_positions"] = config.max_positions;
  info["parameters"] = count_parameters(*engine.checkpoint.weights);
  json::array weights;
  for (const auto& [key, stored] : group_weights(engine)) {
    weights.push_back(json::object{{"kind", key.first},
                                   {"format", key.second},
                                   {"matrices", stored.matrices},
                                   {"parameters", static_cast<int64_t>(stored.parameters)},
                                   {"bytes", static_cast<int64_t>(stored.bytes)},
                                   {"bits_per_weight", 8 * stored.bytes / stored.parameters}});
  }
  info["weights"] = std::move(weights);
  info["tokenizer"] = engine.tokenizer != nullptr ? json::value(engine.tokenizer->vocab_size()) : json::value(nullptr);
  const int64_t available = available_memory();
  info["memory"] = json::object{{"context", context},
                                {"batch", args.batch},
                                {"threads", engine.backend->num_threads()},
                                {"kv_type", kv_type_info(engine.kv_type).name},
                                {"compute", compute_name(engine.options.compute)},
                                {"isa", engine.backend->isa()},
                                {"weights_bytes", static_cast<int64_t>(plan.weight_bytes)},
                                {"kv_bytes", static_cast<int64_t>(plan.kv_bytes)},
                                {"workspace_bytes", static_cast<int64_t>(plan.workspace_bytes)},
                                {"program_bytes", static_cast<int64_t>(plan.program_bytes)},
                                {"total_bytes", static_cast<int64_t>(plan.total())},
                                {"available_bytes", available},
                                {"fits", plan.needed() <= static_cast<double>(available)}};
  return info;
}

std::string info_text(const json::object& info) {
  std::string text;
  for (const auto& item : info) {
    if (item.value().is_structured()) continue;
    std::string value = item.value().is_string() ? std::string(item.value().as_string()) : json::serialize(item.value());
    if (item.key() == "tokenizer") value = item.value().is_null() ? "none" : value + " tokens";
    text += fmt::format("{:<18} {}\n", std::string_view(item.key()), value);
  }
  text += "\nweights            format      matrices   parameters        bytes\n";
  for (const json::value& row : info.at("weights").as_array()) {
    text += fmt::format("  {:<16} {:<10} {:>9} {:>12} {:>12}\n", std::string_view(row.at("kind").as_string()),
                        std::string_view(row.at("format").as_string()), row.at("matrices").to_number<int64_t>(),
                        row.at("parameters").to_number<int64_t>(), format_bytes(row.at("bytes").to_number<double>()));
  }
  const json::object& memory = info.at("memory").as_object();
  const auto bytes = [&](const char* key) { return format_bytes(memory.at(key).to_number<double>()); };
  text += fmt::format("\nmemory for {} of {}: {} (weights {}, keys and values {}, workspace {}, program {})\n",
                      counted(memory.at("batch").to_number<int64_t>(), "sequence", "sequences"),
                      counted(memory.at("context").to_number<int64_t>(), "token", "tokens"), bytes("total_bytes"), bytes("weights_bytes"),
                      bytes("kv_bytes"), bytes("workspace_bytes"), bytes("program_bytes"));
  if (!memory.at("fits").as_bool()) {
    const double needed = memory.at("total_bytes").to_number<double>() - memory.at("program_bytes").to_number<double>();
    text += fmt::format("does not fit: got a plan of {} beside the program, expected at most {}, which is available here\n",
                        format_bytes(needed), bytes("available_bytes"));
  }
  return text;
}

void run_info(const InfoArgs& args) {
  EngineOptions options;
  options.backend = "plan";  // packs and computes nothing
  options.num_threads = args.num_threads;
  options.isa = args.isa;
  options.compute = args.compute == "exact" ? Compute::kExact : Compute::kFast;
  options.kv_type = args.kv_type;
  Checkpoint checkpoint = open_checkpoint(resolve_model(args.model));
  const bool bare = checkpoint.weights == nullptr;
  if (bare) checkpoint.weights = zero_weights(checkpoint.config, args.model);
  if (!args.format.empty()) {
    const FormatPlan plan = plan_of_name(args.format);
    options.policy = make_policy(plan, plan_target(open_to_plan(checkpoint, options).model()));
  }
  Engine engine = open_engine(std::move(checkpoint), options);
  const ModelConfig& config = engine.model().config();
  if (args.context > config.max_positions) {
    fail(ErrorKind::kUsage, "--context", "got {}, expected at most {} (the positions that the model was made for)", args.context,
         config.max_positions);
  }
  const int64_t context = args.context > 0 ? args.context : usual_context(config);
  const json::object info = info_json(args, engine, context, bare);
  if (args.json) return print_json(info);
  print(info_text(info));
}

}  // namespace

void add_info(CLI::App& app) {
  auto args = std::make_shared<InfoArgs>();
  CLI::App* command = app.add_subcommand("info", "Show architecture, parameters, formats and the memory plan of a model");
  command->add_option("MODEL", args->model, "Model, or a bare config.json")->required();
  command->add_option("--context", args->context, "Tokens of a sequence to plan for (default: what the model takes, at most 4096)")
      ->check(CLI::Range(1, 1 << 30));
  command->add_option("--batch", args->batch, "Sequences at once")->check(CLI::Range(1, 1 << 20))->capture_default_str();
  command->add_option("--format", args->format, "Plan for weights converted while loading, as other commands do with --format");
  add_kv_type_option(*command, args->kv_type);
  add_threads_option(*command, args->num_threads);
  add_compute_option(*command, args->compute);
  command->add_option("--isa", args->isa, "Instruction set to plan for (default: the best)");
  add_json_option(*command, args->json);
  command->footer("Example: citius info model.gguf --context 2048 --batch 4");
  command->callback([args] { run_info(*args); });
}

}  // namespace citius::cli
