// citius quantize: one model, one format, no search.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <span>

#include "backend/backend.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/counted.h"
#include "cli/outputs.h"
#include "cli/step_progress.h"
#include "compress/format_plan.h"
#include "eval/machine.h"
#include "eval/work.h"
#include "io/gguf.h"
#include "io/package.h"
#include "runtime/decoder.h"
#include "runtime/engine.h"
#include "search/environment.h"
#include "search/package_writer.h"
#include "store/store.h"

namespace citius::cli {
namespace {

struct QuantizeArgs {
  std::string model, format, out;
  std::vector<std::string> keep;
  bool list = false;
  int threads = 0;
  bool json = false;
};

// Bits per weight of a mix, which depends on the model: here of the matrices of a Llama of 7 billion parameters.
double mix_bits(const std::string& name) {
  constexpr int64_t kLayers = 32, kHidden = 4096, kInner = 11008, kVocab = 32000;
  const FormatPolicy policy = make_policy(plan_of_name(name), {kLayers, false, "model.embed_tokens.weight"});
  double bytes = 0, weights = 0;
  const auto add = [&](const std::string& weight, int64_t rows, int64_t cols) {
    WeightRecord record;
    record.name = weight;
    record.rows = rows;
    record.cols = cols;
    bytes += static_cast<double>(format_row_bytes(policy(record), cols)) * static_cast<double>(rows);
    weights += static_cast<double>(rows) * static_cast<double>(cols);
  };
  for (int64_t i = 0; i < kLayers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    for (const char* part : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      add(layer + "self_attn." + part + ".weight", kHidden, kHidden);
    }
    for (const char* part : {"gate_proj", "up_proj"}) add(layer + "mlp." + part + ".weight", kInner, kHidden);
    add(layer + "mlp.down_proj.weight", kHidden, kInner);
  }
  add("model.embed_tokens.weight", kVocab, kHidden);
  add("lm_head.weight", kVocab, kHidden);
  return 8 * bytes / weights;
}

json::array list_formats() {
  const std::unique_ptr<Backend> backend = make_backend("cpu", {0, ""});  // with all threads, as doctor measures
  MachineRates rates;
  measure_peaks(backend->threads(), /*seconds=*/0.05, rates);
  constexpr int64_t kCols = 1024;  // a multiple of every block
  json::array rows;
  for (const std::string& name : plan_names()) {
    const std::optional<Format> format = parse_format(name);
    if (!format) {
      rows.push_back(
          json::object{{"format", name}, {"bits_per_weight", mix_bits(name)}, {"kernel", "a mix of GGUF types"}, {"fast", nullptr}});
      continue;
    }
    const std::vector<std::byte> zeros(format_row_bytes(*format, kCols) * 64);
    const OwnedMatrix matrix{{*format, 64, kCols, zeros.data()}, nullptr};
    const KernelChoice choice = backend->explain(*backend->pack({&matrix, 1}), Compute::kFast);
    json::object row{{"format", name}, {"bits_per_weight", format_bits_per_weight(*format, kCols)}, {"kernel", choice.name}};
    const ActivationFormat activation = format_activation(*format);
    row["fast"] = activation == ActivationFormat::kF32 || gains_arithmetic(rates, activation);
    rows.push_back(std::move(row));
  }
  return rows;
}

void print_formats(bool as_json) {
  const json::array rows = list_formats();
  if (as_json) return print_json(json::object{{"formats", rows}});
  std::string text = "format       bits/weight  fast here  kernel\n";
  for (const json::value& row : rows) {
    const json::value& fast = row.at("fast");
    text += fmt::format("{:<12} {:>11.2f}  {:<9}  {}\n", std::string_view(row.at("format").as_string()),
                        row.at("bits_per_weight").to_number<double>(),
                        fast.is_null()   ? "by parts"
                        : fast.as_bool() ? "yes"
                                         : "no",
                        std::string_view(row.at("kernel").as_string()));
  }
  print(text);
}

void check_kept(const std::vector<std::string>& patterns, std::span<const WeightRecord> weights) {
  for (const std::string& pattern : patterns) {
    const bool found =
        std::any_of(weights.begin(), weights.end(), [&](const WeightRecord& weight) { return matches_glob(pattern, weight.name); });
    if (!found) fail(ErrorKind::kUsage, "keep", "got '{}', expected the name of a weight, such as '{}'", pattern, weights.front().name);
  }
}

// Where the model goes, what became of its weights.
json::object summary(const QuantizeArgs& args, double before, double after, const json::array& exceptions) {
  return {{"out", args.out},
          {"format", args.format},
          {"bytes_before", static_cast<int64_t>(before)},
          {"bytes", static_cast<int64_t>(after)},
          {"other_formats", exceptions}};
}

// "  30 weights are q5_0 (their rows of 384 are no multiple of 256): blk.0.attn_q.weight, ..."
std::string text_of(const json::array& exceptions) {
  std::map<std::string, std::vector<std::string>> names;  // by format and reason
  for (const json::value& other : exceptions) {
    const json::value& reason = other.at("reason");
    names[fmt::format("{}{}", std::string_view(other.at("format").as_string()),
                      reason.is_null() ? "" : fmt::format(" ({})", std::string_view(reason.as_string())))]
        .emplace_back(other.at("name").as_string());
  }
  constexpr size_t kNamed = 3;
  std::string text;
  for (const auto& [what, weights] : names) {
    text +=
        fmt::format("  {} {}: {}{}\n", counted(weights.size(), "weight is", "weights are"), what,
                    fmt::join(std::span(weights).first(std::min(kNamed, weights.size())), ", "), weights.size() > kNamed ? ", ..." : "");
  }
  return text;
}

// Why a weight is not in the format that was asked for, where --keep or its shape is to blame.
json::value reason_of(const WeightRecord& record, const FormatPlan& plan) {
  const auto keeps = [&](const std::string& pattern) { return matches_glob(pattern, record.name); };
  if (std::any_of(plan.keep.begin(), plan.keep.end(), keeps)) return "kept as given";
  const int64_t block = format_block_elements(plan.body.value_or(Format::kQ4K));  // all types of a mix have blocks of 256
  if (record.cols % block == 0) return nullptr;
  return json::value(fmt::format("rows of {} weights are no multiple of {}", record.cols, block));
}

// Its progress bar is gone when it returns.
void write(const QuantizeArgs& args, Engine& source, const FormatPlan& plan, const FormatPolicy& policy,
           const std::vector<PackageWeight>& weights) {
  std::error_code ignored;
  if (std::filesystem::equivalent(source.checkpoint.path, args.out, ignored)) {
    fail(ErrorKind::kUsage, "--out", "got '{}', which is the model that is read; name another", args.out);
  }
  StepProgress progress;
  const OnWritten on_written = [&](double share) { progress("writing " + args.out, share); };
  const std::string digest = model_digest(source.checkpoint);
  if (has_gguf_ending(args.out)) {
    write_gguf(args.out, source.checkpoint, weights, {digest, gguf_file_type(plan)}, source.backend->threads(), on_written);
  } else {
    OptimizedPackage package;
    package.directory = args.out;
    refuse_other_model(package_target(args.out), digest);
    package.policy = policy;
    package.recipe = {{"source_digest", digest}, {"formats", plan_json(plan)}, {"versions", versions_json()}};
    package.num_threads = args.threads;
    package.on_written = on_written;
    write_optimized(source.checkpoint, package);
  }
}

void run_quantize(const QuantizeArgs& args) {
  FormatPlan plan = plan_of_name(args.format);
  plan.keep = args.keep;
  EngineOptions options;
  options.backend = "ref";
  options.num_threads = args.threads;
  const std::filesystem::path path = resolve_model(args.model);
  Engine source = open_engine(path, options);
  const PlanTarget target = plan_target(source.model());
  if (source.model().config().causal) Decoder(source, kKvBlock);  // its head is a weight too
  check_kept(plan.keep, source.loaded.load.records);
  const FormatPolicy policy = make_policy(plan, target);
  double before = 0, after = 0;
  json::array exceptions;
  std::vector<PackageWeight> weights;
  std::set<std::string_view> coarse;  // formats other than floats that are converted
  for (const WeightRecord& record : source.loaded.load.records) {
    const Format format = policy(record);
    before += static_cast<double>(format_row_bytes(record.stored, record.cols)) * static_cast<double>(record.rows);
    after += static_cast<double>(format_row_bytes(format, record.cols)) * static_cast<double>(record.rows);
    if (format != record.stored) weights.push_back({record.name, format, record.transposed});
    if (format != record.stored && !format_is_float(record.stored)) coarse.insert(format_name(record.stored));
    if (!plan.body || format != *plan.body) {
      exceptions.push_back(json::object{{"name", record.name}, {"format", format_name(format)}, {"reason", reason_of(record, plan)}});
    }
  }
  if (!coarse.empty()) {
    log_warning("the weights were quantized before ({}){}: the result is no better than that; convert the original where there is one",
                fmt::join(coarse, ", "), after > before ? " and take more memory now" : "");
  } else if (after > before) {
    log_warning("the model grows: its weights were given in fewer bits");
  }
  write(args, source, plan, policy, weights);
  if (args.json) return print_json(summary(args, before, after, exceptions));
  print(fmt::format("{}: {} -> {} of weights\n", args.out, format_bytes(before), format_bytes(after)) + text_of(exceptions));
}

}  // namespace

void add_quantize(CLI::App& app) {
  auto args = std::make_shared<QuantizeArgs>();
  CLI::App* command = app.add_subcommand("quantize", "Convert the weights of a model to one format");
  CLI::Option* const model = command->add_option("MODEL", args->model, "Model directory, .gguf file, package or name in the local store");
  CLI::Option* const format = command->add_option("--format", args->format, "Format of the weights (see --list)");
  CLI::Option* const out = command->add_option("--out", args->out, "Package directory, or a .gguf file");
  CLI::Option* const keep =
      command->add_option("--keep", args->keep, "Names of weights to keep as they are, * for any characters")->delimiter(',');
  CLI::Option* const threads = command->add_option("--threads", args->threads, "Threads to use")->check(CLI::Range(1, 1024));
  CLI::Option* const list =
      command->add_flag("--list", args->list, "List the formats, their bits per weight and what multiplies by them here");
  for (CLI::Option* const other : {model, format, out, keep, threads}) list->excludes(other);
  add_json_option(*command, args->json);
  command->footer("Example: citius quantize model --format int8 --out model-int8");
  command->callback([args] {
    if (args->list) return print_formats(args->json);
    if (args->model.empty() || args->format.empty() || args->out.empty()) {
      fail(ErrorKind::kUsage, "quantize", "got {}, expected MODEL, --format and --out, or --list",
           args->model.empty()    ? "no MODEL"
           : args->format.empty() ? "no --format"
                                  : "no --out");
    }
    run_quantize(*args);
  });
}

}  // namespace citius::cli
