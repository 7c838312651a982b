// citius bench: how fast a model is on this machine, over batches, lengths, threads and formats.
#include "cli/bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/check.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signal.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"
#include "compress/format_plan.h"
#include "eval/machine.h"
#include "eval/random_weights.h"
#include "eval/speed.h"
#include "eval/work.h"
#include "metrics/statistics.h"
#include "search/environment.h"
#include "store/store.h"

namespace citius::cli {
namespace {

struct Row {
  Workload workload;
  std::string format;
  KvType kv_type = KvType::kF32;
  int threads = 0;
  std::vector<Round> rounds;
  double units = 0;
  Work work;
  double peak_operations_per_s = 0;
};

Checkpoint open_for_bench(const std::string& path) {
  Checkpoint checkpoint = open_checkpoint(resolve_model(path));
  if (checkpoint.weights == nullptr) checkpoint.weights = random_weights(checkpoint.config, path, /*seed=*/1);
  return checkpoint;
}

Checkpoint open_shapes(const std::string& path) {
  Checkpoint checkpoint = open_checkpoint(resolve_model(path));
  if (checkpoint.weights == nullptr) checkpoint.weights = zero_weights(checkpoint.config, path);
  return checkpoint;
}

std::vector<Workload> workloads_of(const BenchArgs& args, bool causal) {
  std::vector<Workload> workloads;
  const auto add = [&](Workload::Kind kind, const std::vector<int64_t>& lengths, std::vector<int64_t> mixed = {}) {
    for (int64_t length : lengths) {
      for (int64_t batch : args.batch.empty() ? std::vector<int64_t>{1} : args.batch) {
        Workload workload;
        workload.kind = kind;
        workload.batch = batch;
        workload.length = length;
        workload.lengths = mixed;
        workloads.push_back(workload);
      }
    }
  };
  if (!causal) {
    if (!args.prefill.empty() || !args.decode.empty()) {
      fail(ErrorKind::kUsage, "bench", "got --prefill or --decode for an encoder, expected --length or --lengths");
    }
    if (!args.lengths_file.empty()) {
      const std::vector<int64_t> mixed = read_lengths(args.lengths_file);
      double sum = 0;
      for (int64_t length : mixed) sum += static_cast<double>(length);
      add(Workload::Kind::kEncode, {static_cast<int64_t>(sum / static_cast<double>(mixed.size()) + 0.5)}, mixed);
    }
    const std::vector<int64_t> lengths = args.length.empty() && args.lengths_file.empty() ? std::vector<int64_t>{128} : args.length;
    add(Workload::Kind::kEncode, lengths);
    return workloads;
  }
  if (!args.length.empty() || !args.lengths_file.empty()) {
    fail(ErrorKind::kUsage, "bench", "got --length or --lengths for a language model, expected --prefill or --decode");
  }
  const bool neither = args.prefill.empty() && args.decode.empty();
  add(Workload::Kind::kPrefill, neither ? std::vector<int64_t>{512} : args.prefill);
  add(Workload::Kind::kDecode, neither ? std::vector<int64_t>{128} : args.decode);
  return workloads;
}

json::object row_json(const Row& row) {
  const std::vector<double> seconds = round_seconds(row.rounds), latencies = latencies_ms(row.rounds);
  const double middle = median(seconds);
  json::object object;
  object["kind"] = kind_name(row.workload.kind);
  object["batch"] = row.workload.batch;
  object["length"] = row.workload.length;
  object["threads"] = row.threads;
  object["format"] = row.format;
  object["kv_type"] = kv_type_info(row.kv_type).name;
  const bool encode = row.workload.kind == Workload::Kind::kEncode;
  object[encode ? "sequences_per_s" : "tokens_per_s"] = row.units / middle;
  // Rates: the slow quarter first.
  object["p25"] = row.units / quantile(seconds, 0.75);
  object["p75"] = row.units / quantile(seconds, 0.25);
  object["latency_ms"] =
      json::object{{"p50", quantile(latencies, 0.5)}, {"p90", quantile(latencies, 0.9)}, {"p99", quantile(latencies, 0.99)}};
  const auto known = [](double rate) { return rate > 0 ? json::value(rate) : json::value(nullptr); };
  const std::optional<double> of_reads = share_of_reads(row.rounds, row.work.bytes);
  const ReadLimit reads = middle_reads(row.rounds);
  object["share_of_bandwidth"] = of_reads ? json::value(*of_reads) : json::value(nullptr);
  object["read_bytes_per_s"] = row.work.bytes / middle;
  object["best_read_bytes_per_s"] = known(reads.best);
  object["plain_read_bytes_per_s"] = known(reads.plain);
  object["share_of_peak"] =
      row.peak_operations_per_s > 0 ? json::value(row.work.operations / middle / row.peak_operations_per_s) : json::value(nullptr);
  object["repeats"] = row.rounds.size();
  return object;
}

// Of the table: header and rows.
constexpr std::string_view kColumns =
    "{:<7} {:>5} {:>6} {:>7}  {:<10} {:<4} {:>8} {:<5} {:>8} {:>8} {:>8} {:>8} {:>8} {:>5} {:>5} {:>21}\n";

std::string row_text(const json::object& row) {
  const bool encode = row.if_contains("sequences_per_s") != nullptr;
  const auto percent = [&](const char* key) {
    const json::value& value = row.at(key);
    return value.is_number() ? fmt::format("{:.0f} %", 100 * value.to_number<double>()) : std::string("-");
  };
  const auto gb = [&](const char* key) {
    const json::value& value = row.at(key);
    return value.is_number() ? fmt::format("{:.1f}", value.to_number<double>() / 1e9) : std::string("-");
  };
  const auto number = [](const char* key, const json::object& of, int digits) {
    return fmt::format("{:.{}f}", of.at(key).to_number<double>(), digits);
  };
  const json::object& latency = row.at("latency_ms").as_object();
  return fmt::format(kColumns, std::string_view(row.at("kind").as_string()), row.at("batch").to_number<int64_t>(),
                     row.at("length").to_number<int64_t>(), row.at("threads").to_number<int>(),
                     std::string_view(row.at("format").as_string()), std::string_view(row.at("kv_type").as_string()),
                     number(encode ? "sequences_per_s" : "tokens_per_s", row, 1), encode ? "seq/s" : "tok/s", number("p25", row, 1),
                     number("p75", row, 1), number("p50", latency, 3), number("p90", latency, 3), number("p99", latency, 3),
                     percent("share_of_peak"), percent("share_of_bandwidth"),
                     fmt::format("{} of {} ({})", gb("read_bytes_per_s"), gb("best_read_bytes_per_s"), gb("plain_read_bytes_per_s")));
}

void measure_rows(const BenchArgs& args, StepProgress& progress, json::object& facts, const std::function<void(json::object)>& give) {
  std::vector<std::string> formats = args.formats;
  if (formats.empty()) formats = {""};
  std::vector<int64_t> threads = args.threads;
  if (threads.empty()) threads = {0};
  for (int64_t count : threads) {
    std::vector<std::unique_ptr<Contestant>> contestants;
    std::optional<PlanTarget> target;
    for (const std::string& format : formats) {
      progress("loading " + (format.empty() ? std::string("the model") : format), 0);
      Engine engine = open_format(args, static_cast<int>(count), format, target);
      const std::string name = format.empty() ? given_format(engine) : format;
      contestants.push_back(std::make_unique<Contestant>(Contestant{name, std::move(engine)}));
    }
    const json::object machine = note_machine(args, contestants.front()->engine, facts);
    const std::unique_ptr<ReadMeter> reads = ReadMeter::make(contestants.front()->engine.backend->threads());
    for (const Workload& workload : workloads_of(args, contestants.front()->engine.model().config().causal)) {
      std::vector<std::unique_ptr<SpeedRunner>> runners;
      std::vector<SpeedRunner*> pointers;
      for (const auto& contestant : contestants) {
        runners.push_back(SpeedRunner::make(contestant->engine, workload));
        pointers.push_back(runners.back().get());
      }
      SpeedOptions speed;
      speed.seconds = args.seconds;
      speed.repeats = args.repeats;
      speed.reads = reads.get();
      const std::string step = fmt::format("{} {} x {}", kind_name(workload.kind), workload.batch, workload.length);
      auto rounds = measure_interleaved(pointers, speed, [&](double share) { progress(step, share); });
      for (size_t i = 0; i < contestants.size(); ++i) {
        const Engine& engine = contestants[i]->engine;
        give(row_json({workload, contestants[i]->format, engine.kv_type, engine.backend->threads().num_threads(), std::move(rounds[i]),
                       runners[i]->units(), work_of(engine, workload), machine_limits(machine, engine).operations_per_s}));
      }
    }
  }
}

void run_bench(const BenchArgs& args) {
  const std::string header = fmt::format(kColumns, "kind", "batch", "length", "threads", "format", "kv", "median", "", "p25", "p75",
                                         "p50 ms", "p90 ms", "p99 ms", "peak", "band.", "GB/s of best (plain)");
  StepProgress progress;
  const json::array rows = report_rows(args, header, row_text, progress,
                                       [&](json::object& facts, const auto& give) { measure_rows(args, progress, facts, give); });
  for (const char* key : {"share_of_bandwidth", "share_of_peak"}) {
    const auto above = [&](const json::value& row) { return row.at(key).is_number() && row.at(key).to_number<double>() > 1; };
    if (std::ranges::none_of(rows, above)) continue;
    log_note("{} is above 100 % where the machine was busy when its limit was measured{}", key,
             std::string_view(key) == "share_of_bandwidth" ? ", or where the weights stay in a cache" : "");
  }
}

}  // namespace

std::vector<int64_t> read_lengths(const std::string& path) {
  const std::string text = read_file(path, size_t{64} << 20);
  std::vector<int64_t> lengths;
  size_t line = 1;
  for (size_t begin = 0; begin < text.size(); ++line) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    const size_t stop = end > begin && text[end - 1] == '\r' ? end - 1 : end;
    if (stop > begin) {
      int64_t length = 0;
      const auto [rest, error] = std::from_chars(text.data() + begin, text.data() + stop, length);
      if (error != std::errc() || rest != text.data() + stop || length < 1) {
        fail_input(path, "line {} is '{}', expected a number of tokens", line, text.substr(begin, stop - begin));
      }
      lengths.push_back(length);
    }
    begin = end + 1;
  }
  if (lengths.empty()) fail_input(path, "holds no lengths");
  return lengths;
}

json::array report_rows(const BenchArgs& args, const std::string& header, const std::function<std::string(const json::object& row)>& text,
                        StepProgress& progress, const MeasureRows& measure) {
  json::object facts{{"model", args.model}};
  if (open_checkpoint(resolve_model(args.model)).weights == nullptr) {
    log_note("{} is a configuration alone; measured are random weights of this shape{}", args.model,
             args.formats.empty() ? ", as f32 whatever type it names (--format)" : "");
    facts["random_weights"] = true;
  }
  json::array rows;
  const auto give = [&](json::object row) {
    progress.clear();
    if (!args.json) print((rows.empty() ? header : "") + text(row));
    rows.emplace_back(std::move(row));
  };
  const auto finish = [&] {
    progress.clear();
    if (!args.json) return;
    json::object object = facts;
    object["versions"] = versions_json();
    object["rows"] = rows;
    print_json(object);
  };
  try {
    measure(facts, give);
  } catch (const Error&) {
    if (interrupted() && !rows.empty()) finish();
    throw;
  }
  finish();
  return rows;
}

json::object note_machine(const BenchArgs& args, Engine& engine, json::object& facts) {
  json::object machine = machine_json(engine);
  if (args.json && !facts.contains("digest")) facts["digest"] = model_digest(engine.checkpoint);
  if (!facts.contains("machine")) {
    facts["machine"] = machine;
    facts["machines"] = json::array();
  }
  facts["machines"].as_array().push_back(machine);
  return machine;
}

Engine open_format(const BenchArgs& args, int threads, const std::string& format, std::optional<PlanTarget>& target) {
  EngineOptions options;
  options.isa = args.isa;
  options.compute = args.compute == "exact" ? Compute::kExact : Compute::kFast;
  options.kv_type = args.kv_type;
  options.num_threads = threads;
  options.context = args.scenario.context;
  options.cache = StartCache(cache_directory());
  if (format.empty()) {
    Engine engine = open_engine(open_for_bench(args.model), options);
    target = plan_target(engine.model());
    return engine;
  }
  const FormatPlan plan = plan_of_name(format);  // an unknown name is an error before anything is loaded
  if (!target) {
    target = plan_target(open_to_plan(open_shapes(args.model), options).model());
  }
  options.policy = make_policy(plan, *target);
  return open_engine(open_for_bench(args.model), options);
}

std::string given_format(const Engine& engine) {
  std::map<Format, int64_t> sizes;
  for (const WeightRecord& record : engine.loaded.load.records) {
    const WeightKind kind = place_of(record.name).kind;
    const bool in_layer = kind == WeightKind::kAttention || kind == WeightKind::kFeedForward;
    sizes[record.format] += in_layer ? record.rows * record.cols : 0;
  }
  const auto most = std::max_element(sizes.begin(), sizes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  CHECK(most != sizes.end());
  return std::string(format_name(most->first));
}

void add_bench(CLI::App& app) {
  auto args = std::make_shared<BenchArgs>();
  CLI::App* command = app.add_subcommand(
      "bench", "Measure speed: prefill, decode and encoding over batches, lengths and formats; or requests as they come");
  command->add_option("MODEL", args->model, "Model, or a bare config.json (random weights of that shape)")->required();
  command->add_option("--isa", args->isa, "Instruction set to use (default: the best)");
  command->add_option("--compute", args->compute, "fast, or exact: weights as given and fp32 activations")
      ->check(CLI::IsMember({"fast", "exact"}))
      ->capture_default_str();
  add_kv_type_option(*command, args->kv_type);
  const auto list = [&](const char* name, std::vector<int64_t>& values, const char* help) {
    command->add_option(name, values, help)->delimiter(',')->check(CLI::Range(1, 1 << 24));
  };
  list("--prefill", args->prefill, "Tokens of a prompt (decoders; default 512)");
  list("--decode", args->decode, "New tokens of a sequence, after a prompt of one token (decoders; default 128)");
  list("--batch", args->batch, "Sequences at once, at most that many in a scenario (default 1, in a scenario 32)");
  list("--length", args->length, "Tokens of a sequence (encoders; default 128)");
  command->add_option("--threads", args->threads, "Threads, one or several counts")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024))
      ->each(warn_of_threads);
  command->add_option(
      "--lengths", args->lengths_file,
      "File with a sequence length a line (encoders): a round encodes them all, --batch at once; a scenario the first --requests");
  command
      ->add_option("--format", args->formats,
                   "Formats to convert to, measured interleaved, in a scenario one after the other (default: as given)")
      ->delimiter(',');
  CLI::Option* seconds =
      command->add_option("--seconds", args->seconds, "Time for each row, at least")->check(number_range(0, 3600))->capture_default_str();
  CLI::Option* repeats =
      command->add_option("--repeats", args->repeats, "Rounds of each row, at least")->check(CLI::Range(1, 200))->capture_default_str();
  CLI::Option* scenario = add_scenario_options(*command, args->scenario);
  seconds->excludes(scenario);
  repeats->excludes(scenario);
  add_json_option(*command, args->json);
  command->footer("Example: citius bench model.gguf --prefill 512 --decode 128 --batch 1,8 --json");
  command->callback([args] {
    if (const std::string load = describe_load(); !load.empty()) log_warning("{}", load);  // before it is our own
    args->scenario.name.empty() ? run_bench(*args) : run_scenarios(*args);
  });
}

}  // namespace citius::cli
