// citius eval: perplexity of a model over a text, or one model against another.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"
#include "cli/step_progress.h"
#include "cli/text_files.h"
#include "eval/perplexity.h"
#include "search/candidate.h"
#include "search/items.h"
#include "store/store.h"

namespace citius::cli {
namespace {

struct EvalArgs {
  ModelFlags model;
  std::string perplexity;
  int64_t stride = 0;
  int64_t windows = 0;
  std::string against;
  std::string against_compute = "exact";
  std::string data;
  std::string text_column;
  uint64_t seed = 0;
  bool json = false;
};

// One item alone gives no interval.
std::string interval_text(const Estimate& estimate, std::string_view items) {
  if (std::isfinite(estimate.low) && std::isfinite(estimate.high)) {
    return fmt::format("95 % interval {:.6g} to {:.6g}", estimate.low, estimate.high);
  }
  return fmt::format("no interval: more {} are needed", items);
}

void eval_perplexity(const EvalArgs& args) {
  const int64_t context = args.model.context > 0 ? args.model.context : 512;
  const std::string text = read_text(args.perplexity);
  Engine engine = args.model.open();
  if (!engine.model().config().causal) {
    fail_input(args.model.model, "is an encoder, which predicts no next token, expected a language model; --against compares encoders");
  }
  if (is_table(args.perplexity)) {
    log_warning("'{}' is scored as it stands, keys and quotes too; perplexity is of a plain text", args.perplexity);
  }
  if (const int64_t most = engine.model().config().max_positions; context > most) {
    fail(ErrorKind::kUsage, "context", "got windows of {} tokens, expected at most {} (what the model takes); give --context", context,
         most);
  }
  PerplexityOptions perplexity;
  perplexity.context = context;
  perplexity.stride = args.stride;
  perplexity.max_windows = args.windows;
  StepProgress progress;
  const PerplexityResult result = measure_perplexity(engine, text, perplexity, [&](double share) { progress("perplexity", share); });
  progress.clear();
  if (args.json) {
    print_json(json::object{{"perplexity", result.perplexity.value},
                            {"interval", interval_json(result.perplexity)},
                            {"tokens_scored", result.tokens_scored},
                            {"windows", result.windows},
                            {"protocol", result.protocol},
                            {"context", context},
                            {"compute", args.model.compute}});
    return;
  }
  print(fmt::format("perplexity {:.4f}  ({}; {} tokens scored in {} windows, {})\n", result.perplexity.value,
                    interval_text(result.perplexity, "windows"), result.tokens_scored, result.windows, result.protocol));
}

void eval_against(const EvalArgs& args) {
  const EngineOptions options = args.model.options();
  EngineOptions reference_options = options;
  reference_options.compute = args.against_compute == "exact" ? Compute::kExact : Compute::kFast;
  if (reference_options.compute == Compute::kExact) reference_options.kv_type = KvType::kF32;
  Engine reference = open_engine(resolve_model(args.against), reference_options);
  Engine candidate = args.model.open(options);
  if (reference.model().config().causal != candidate.model().config().causal) {
    fail_input(args.model.model, "is {} language model, '{}' is {}", candidate.model().config().causal ? "a" : "no", args.against,
               reference.model().config().causal ? "one" : "none");
  }
  const bool causal = reference.model().config().causal;
  if (causal) check_same_vocabulary(reference, candidate);
  if (!causal && (args.windows > 0 || args.model.context > 0)) {
    fail(ErrorKind::kUsage, args.windows > 0 ? "--windows" : "--context", "got it for encoders, expected it for language models alone");
  }
  ItemOptions items;
  items.split = false;
  items.seed = args.seed;
  items.window = args.model.context > 0 ? args.model.context : 256;
  items.num_windows = args.windows > 0 ? args.windows : 16;
  items.num_texts = std::numeric_limits<int64_t>::max();
  if (!args.data.empty()) items.texts = read_texts(args.data, args.text_column, causal);
  StepProgress progress;
  ChosenItems chosen = make_items(reference, items, [&](double share) { progress("text to compare on", share); });
  const size_t count = chosen.items.size();
  const auto outputs = make_reference(reference, std::move(chosen.items), [&](double share) { progress("reference", share); });
  const Quality quality = outputs->compare(candidate, 0, count, [&](double share) { progress("comparison", share); });
  progress.clear();
  std::string text;
  json::object flat;
  for (const auto& [name, estimate] : quality) {
    text += fmt::format("{:<18} {:.6f}  ({})\n", name, estimate.value, interval_text(estimate, causal ? "windows" : "texts"));
    flat[name] = estimate.value;
    flat[name + "_interval"] = interval_json(estimate);
  }
  if (!args.json) return print(text + fmt::format("on {}\n", chosen.source));
  flat["items"] = count;
  flat["data"] = chosen.source;
  flat["compute"] = args.model.compute;
  flat["against_compute"] = args.against_compute;
  print_json(flat);
}

}  // namespace

void add_eval(CLI::App& app) {
  auto args = std::make_shared<EvalArgs>();
  CLI::App* command = app.add_subcommand("eval", "Measure quality: perplexity, or one model against another");
  args->model.add_to(*command);
  args->model.add_decoder_flags_to(*command);
  command->get_option("--context")->description("Tokens of a window (default: 512 with --perplexity, 256 with --against)");
  CLI::Option* const perplexity =
      command->add_option("--perplexity", args->perplexity, "Text file to measure perplexity on; - is standard input");
  command->add_option("--stride", args->stride, "Windows begin every S tokens (Hugging Face protocol; default: llama-perplexity)")
      ->check(CLI::Range(1, 1 << 24))
      ->needs(perplexity);
  command->add_option("--windows", args->windows, "Use the first N windows only (default: all, or 16 with --against)")
      ->check(CLI::Range(1, 1 << 30));
  CLI::Option* const against =
      command->add_option("--against", args->against, "Reference model: KL divergence, top-1 agreement and perplexity ratio, or cosine")
          ->excludes(perplexity);
  command->add_option("--against-compute", args->against_compute, "Compute mode of the reference")
      ->check(CLI::IsMember({"fast", "exact"}))
      ->capture_default_str()
      ->needs(against);
  CLI::Option* const data =
      command->add_option("--data", args->data, "Texts to compare on (default: written by the reference itself, or built-in sentences)")
          ->needs(against);
  command->add_option("--text-column", args->text_column, "Key or column of the text in --data")->needs(data);
  add_seed_option(*command, args->seed, "Seed of the text that the reference writes")
      ->capture_default_str()
      ->needs(against)
      ->excludes(data);
  add_json_option(*command, args->json);
  command->footer("Example: citius eval model.gguf --perplexity wiki.test.raw --context 512");
  command->callback([args] {
    if (!args->against.empty()) return eval_against(*args);
    if (args->perplexity.empty()) fail(ErrorKind::kUsage, "eval", "got neither --perplexity nor --against, expected one of them");
    eval_perplexity(*args);
  });
}

}  // namespace citius::cli
