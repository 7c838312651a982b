// citius bench --scenario: requests that come one by one, all at once, at a rate or as a trace says; what each waited, and
// the highest rate at which 99 of 100 wait no longer than asked.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "base/check.h"
#include "base/digest.h"
#include "base/error.h"
#include "cli/bench.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"
#include "eval/load_server.h"
#include "eval/trace.h"
#include "search/environment.h"

namespace citius::cli {
namespace {

enum class Arrivals { kOneByOne, kAtOnce, kConstant, kPoisson, kTrace };

struct Scenario {
  Arrivals arrivals;
  int64_t requests;         // by default
  int64_t prefill, prefix;  // by default, in tokens; prefill 0: contexts up to kLongContext
};

constexpr int64_t kLongContext = 8192, kReply = 128, kEncoderLength = 128, kBatch = 32;

const std::map<std::string, Scenario>& scenarios() {
  static const std::map<std::string, Scenario> all = {
      {"single", {Arrivals::kOneByOne, 16, 512, 0}},   {"long-context", {Arrivals::kOneByOne, 4, 0, 0}},
      {"offline", {Arrivals::kAtOnce, 64, 512, 0}},    {"shared-prefix", {Arrivals::kAtOnce, 64, 128, 512}},
      {"constant", {Arrivals::kConstant, 64, 512, 0}}, {"poisson", {Arrivals::kPoisson, 64, 512, 0}},
      {"trace", {Arrivals::kTrace, 64, 512, 0}},
  };
  return all;
}

std::string_view arrivals_name(Arrivals arrivals) {
  switch (arrivals) {
    case Arrivals::kOneByOne: return "one by one";
    case Arrivals::kAtOnce: return "all at once";
    case Arrivals::kConstant: return "constant";
    case Arrivals::kPoisson: return "poisson";
    case Arrivals::kTrace: return "trace";
  }
  CHECK(false);
}

// Requests before they have a time of arrival (those of a trace have one), and what they are in words and in JSON.
struct Load {
  std::string name;
  json::object json;
  std::vector<LoadRequest> requests;
};

[[noreturn]] void refuse(std::string_view what) { fail(ErrorKind::kUsage, "bench", "{}", what); }

void check_usage(const BenchArgs& args) {
  const ScenarioArgs& given = args.scenario;
  const Arrivals arrivals = scenarios().at(given.name).arrivals;
  const bool timed = arrivals == Arrivals::kConstant || arrivals == Arrivals::kPoisson;
  if (given.rate && !timed) refuse("got --request-rate, expected it with --scenario constant or poisson alone");
  if (timed && !given.rate && !given.limits.any()) {
    refuse("expected --request-rate, or a limit (--ttft-ms, --tpot-ms, --e2el-ms) whose highest rate is then searched");
  }
  if (given.seed && arrivals != Arrivals::kPoisson) refuse("got --seed, expected it with --scenario poisson alone");
  const bool traced = arrivals == Arrivals::kTrace;
  if (traced == given.trace.empty()) refuse(traced ? "expected --trace FILE" : "got --trace, expected it with --scenario trace alone");
  if (given.speedup && !traced) refuse("got --speedup, expected it with --scenario trace alone");
  if (traced && (!args.prefill.empty() || !args.decode.empty() || given.prefix || !args.length.empty() || !args.lengths_file.empty())) {
    refuse("got lengths for a trace, which has its own");
  }
  if (timed && !given.rate && given.requests.value_or(2) < 2) refuse("got one request, expected 2 or more to search a rate with");
  if (arrivals == Arrivals::kOneByOne && !args.batch.empty()) refuse("got --batch where one request runs at a time");
  for (const int64_t batch : args.batch) {
    const int64_t most = std::min(SchedulerOptions{}.step_tokens, given.requests.value_or(scenarios().at(given.name).requests));
    if (batch > most) {
      fail(ErrorKind::kUsage, "bench",
           "got --batch {}, expected at most {} here: no more requests than --requests run at once, and at most {}", batch, most,
           SchedulerOptions{}.step_tokens);
    }
  }
}

void check_kind(const BenchArgs& args, bool causal) {
  const ScenarioArgs& given = args.scenario;
  if (causal) {
    if (!args.length.empty() || !args.lengths_file.empty()) {
      refuse("got --length or --lengths for a language model, expected --prefill or --decode");
    }
    return;
  }
  if (!args.prefill.empty() || !args.decode.empty()) refuse("got --prefill or --decode for an encoder, expected --length or --lengths");
  const Scenario& scenario = scenarios().at(given.name);
  if (scenario.prefix > 0 || scenario.prefill == 0 || scenario.arrivals == Arrivals::kTrace || given.prefix || given.no_prefix_cache) {
    refuse("got an encoder, which has no replies and no cache; expected --scenario single, offline, constant or poisson without prefixes");
  }
  if (given.limits.ttft_ms || given.limits.tpot_ms) refuse("got --ttft-ms or --tpot-ms for an encoder, expected --e2el-ms");
}

// Prompts that fill 1k, 2k, ... up to 8k of context together with their replies, and the whole context where it ends before.
std::vector<int64_t> long_prompts(int64_t prefix, int64_t reply, int64_t context) {
  std::vector<int64_t> prompts;
  const int64_t others = prefix + reply;
  for (int64_t total = 1024; total <= kLongContext; total *= 2) {
    if (std::min(total, context) > others) prompts.push_back(std::min(total, context) - others);
    if (total >= context) break;
  }
  if (prompts.empty()) {
    fail(ErrorKind::kUsage, "bench", "got a prefix of {} and replies of {} tokens, expected room for a prompt in the context of {}", prefix,
         reply, context);
  }
  return prompts;
}

constexpr uint64_t kPrefixStream = 0;  // request i has stream i + 1 for itself

std::vector<Load> decoder_loads(const BenchArgs& args, const Scenario& scenario, int64_t requests, int64_t context) {
  std::vector<Load> loads;
  const std::vector<int64_t> replies = args.decode.empty() ? std::vector<int64_t>{kReply} : args.decode;
  const int64_t prefix = args.scenario.prefix.value_or(scenario.prefix);
  for (const int64_t reply : replies) {
    std::vector<int64_t> prompts = args.prefill;
    if (prompts.empty()) {
      prompts = scenario.prefill > 0 ? std::vector<int64_t>{scenario.prefill} : long_prompts(prefix, reply, context);
    }
    for (const int64_t prompt : prompts) {
      Load load;
      load.name = prefix > 0 ? fmt::format("{}+{}+{}", prefix, prompt, reply) : fmt::format("{}+{}", prompt, reply);
      load.json = {{"prefix", prefix}, {"prefill", prompt}, {"decode", reply}};
      for (int64_t i = 0; i < requests; ++i) {
        LoadRequest request;
        if (prefix > 0) request.prompt.push_back({kPrefixStream, prefix});
        request.prompt.push_back({static_cast<uint64_t>(i) + 1, prompt});
        request.reply_tokens = reply;
        load.requests.push_back(std::move(request));
      }
      loads.push_back(std::move(load));
    }
  }
  return loads;
}

std::vector<Load> encoder_loads(const BenchArgs& args, int64_t requests) {
  std::vector<Load> loads;
  const auto add = [&](std::string name, json::object json, const std::vector<int64_t>& lengths) {
    Load load{std::move(name), std::move(json), {}};
    for (int64_t i = 0; i < requests; ++i) {
      const int64_t length = lengths[static_cast<size_t>(i) % lengths.size()];
      load.requests.push_back({0, {{static_cast<uint64_t>(i) + 1, length}}, 0});
    }
    loads.push_back(std::move(load));
  };
  if (!args.lengths_file.empty()) add("mixed", {{"lengths", args.lengths_file}}, read_lengths(args.lengths_file));
  const std::vector<int64_t> lengths =
      args.length.empty() && args.lengths_file.empty() ? std::vector<int64_t>{kEncoderLength} : args.length;
  for (const int64_t length : lengths) add(std::to_string(length), {{"length", length}}, {length});
  return loads;
}

Load trace_load(const ScenarioArgs& args, int64_t requests, int64_t context) {
  const std::vector<TraceEntry> trace = read_trace(args.trace, requests);
  const double scale = length_scale(trace, context), speedup = args.speedup.value_or(1);
  Load load;
  load.name = fmt::format("x{:.4g}", scale);
  load.json = {{"trace", args.trace},
               {"trace_digest", sha256_file(args.trace)},
               {"trace_requests", count_requests_of(args.trace)},
               {"length_scale", scale},
               {"speedup", speedup}};
  load.requests = scale_trace(trace, scale, speedup);
  return load;
}

std::vector<Load> loads_of(const BenchArgs& args, const ModelConfig& config) {
  const Scenario& scenario = scenarios().at(args.scenario.name);
  const int64_t requests = args.scenario.requests.value_or(scenario.requests);
  check_kind(args, config.causal);
  if (!config.causal) return encoder_loads(args, requests);
  if (scenario.arrivals == Arrivals::kTrace) return {trace_load(args.scenario, requests, config.max_positions)};
  return decoder_loads(args, scenario, requests, config.max_positions);
}

// Runs one load on one server, in the way of the scenario.
class Runner {
 public:
  Runner(const ScenarioArgs& args, Load& load, ModelServer& server, StepProgress& progress)
      : args_(args), arrivals_(scenarios().at(args.name).arrivals), load_(load), server_(server), progress_(progress) {}

  /// The row of results, without what is known of the engine.
  json::object run() {
    warm_up();
    if ((arrivals_ == Arrivals::kConstant || arrivals_ == Arrivals::kPoisson) && !args_.rate) return search();
    if (args_.rate) set_rate(*args_.rate);
    json::object row = row_json(once("measuring", arrivals_ == Arrivals::kOneByOne), arrivals_);
    row["request_rate"] = offered_rate();
    return row;
  }

 private:
  LoadReport once(const std::string& what, bool one_by_one, bool may_stop = false, int64_t count = 0) {
    const auto requests = std::span(std::as_const(load_.requests)).first(count > 0 ? static_cast<size_t>(count) : load_.requests.size());
    server_.reset(requests);
    LoadOptions options;
    options.one_by_one = one_by_one;
    if (may_stop) options.stop_beyond = args_.limits;
    options.progress = [&](double share) { progress_(fmt::format("{} {}: {}", args_.name, load_.name, what), share); };
    return report_load(requests, run_load(requests, server_, real_clock(), options), args_.limits);
  }

  // Memory is touched and threads are awake before anything is measured.
  void warm_up() {
    constexpr int64_t kWarmTokens = 1024;  // some steps of a prompt
    const size_t count = arrivals_ == Arrivals::kOneByOne ? 1 : std::min<size_t>(4, load_.requests.size());
    std::vector<LoadRequest> requests(load_.requests.begin(), load_.requests.begin() + static_cast<std::ptrdiff_t>(count));
    for (LoadRequest& request : requests) {
      request.arrival_s = 0;
      request.prompt = {{kPrefixStream, std::min<int64_t>(kWarmTokens, request.prompt_tokens())}};
      request.reply_tokens = std::min<int64_t>(2, request.reply_tokens);
    }
    server_.reset(requests);
    LoadOptions options;
    options.progress = [&](double share) { progress_("warming up", share); };
    run_load(requests, server_, real_clock(), options);
  }

  void set_rate(double rate) {
    const int64_t count = std::ssize(load_.requests);
    const std::vector<double> times =
        arrivals_ == Arrivals::kPoisson ? poisson_arrivals(count, rate, args_.seed.value_or(kSeed)) : constant_arrivals(count, rate);
    for (size_t i = 0; i < times.size(); ++i) load_.requests[i].arrival_s = times[i];
  }

  json::value offered_rate() const {
    if (args_.rate) return *args_.rate;
    const double last = load_.requests.back().arrival_s;
    return last > 0 ? json::value(static_cast<double>(load_.requests.size() - 1) / last) : json::value(nullptr);
  }

  json::object row_json(const LoadReport& report, Arrivals arrivals) const {
    const auto percentiles = [](const std::optional<Percentiles>& of) {
      return of ? json::value{{"p50", of->p50}, {"p90", of->p90}, {"p99", of->p99}} : json::value(nullptr);
    };
    const Scheduler::Counters counters = server_.counters();
    const bool replies = server_.kv_tokens() > 0;
    json::object row{{"arrivals", arrivals_name(arrivals)},
                     {"requests", report.requests},
                     {"completed", report.completed},
                     {"prompt_tokens", report.prompt_tokens},
                     {"duration_s", report.duration_s},
                     {"requests_per_s", report.requests_per_s},
                     {"prompt_tokens_per_s", report.prompt_tokens_per_s},
                     {"total_tokens_per_s", report.total_tokens_per_s},
                     {"e2el_ms", percentiles(report.e2el_ms)},
                     {"steps", counters.steps}};
    if (replies) {
      row["reply_tokens"] = report.reply_tokens;
      row["output_tokens_per_s"] = report.output_tokens_per_s;
      row["ttft_ms"] = percentiles(report.ttft_ms);
      row["tpot_ms"] = percentiles(report.tpot_ms);
      row["reused_tokens"] = counters.reused_tokens;
      row["reused_prompt_share"] = static_cast<double>(counters.reused_prompt_tokens) / static_cast<double>(report.prompt_tokens);
      row["preemptions"] = counters.preemptions;
      row["kv_tokens"] = server_.kv_tokens();
    }
    if (arrivals != Arrivals::kOneByOne && arrivals != Arrivals::kAtOnce) {
      row["drain_s"] = report.drain_s;
      row["sustained"] = report.sustained;
    }
    if (args_.limits.any()) {
      row["limits"] = limits_json();
      row["limits_kept"] = report.limits_kept;
      row["goodput_requests_per_s"] = report.goodput;
    }
    return row;
  }

  json::object limits_json() const {
    json::object limits;
    for (const auto& [key, limit] :
         {std::pair("ttft_ms", args_.limits.ttft_ms), {"tpot_ms", args_.limits.tpot_ms}, {"e2el_ms", args_.limits.e2el_ms}}) {
      if (limit) limits[key] = *limit;
    }
    return limits;
  }

  json::object search() {
    constexpr int64_t kAlone = 8;  // requests that show whether the limits can be kept at all
    json::array trials;
    const int64_t alone = std::min<int64_t>(kAlone, std::ssize(load_.requests));
    json::object best = row_json(once("one by one", true, false, alone), Arrivals::kOneByOne);
    best["request_rate"] = best["highest_rate"] = best["capacity_requests_per_s"] = nullptr;
    const bool possible = best.at("limits_kept").as_bool();
    if (possible) {
      for (LoadRequest& request : load_.requests) request.arrival_s = 0;
      const double capacity = once("all at once", false).requests_per_s;
      std::map<double, json::object> kept;  // rows of the rates that keep the limits and last
      const double highest = highest_rate(capacity, [&](double rate) {
        set_rate(rate);
        const LoadReport report = once(fmt::format("{:.3g} requests/s", rate), false, true);
        json::object row = row_json(report, arrivals_);
        json::object trial{{"request_rate", rate}};
        for (const char* key : {"limits_kept", "sustained", "completed", "ttft_ms", "tpot_ms", "e2el_ms"}) {
          if (const json::value* value = row.if_contains(key)) trial[key] = *value;
        }
        trials.push_back(std::move(trial));
        const bool lasts = report.limits_kept && report.sustained;
        if (lasts) kept[rate] = std::move(row);
        return lasts;
      });
      if (highest > 0) {
        best = std::move(kept.at(highest));
        best["request_rate"] = best["highest_rate"] = highest;
      } else {
        // Kept one by one; at a rate only where some trial did, if not for long.
        best["limits_kept"] =
            std::any_of(trials.begin(), trials.end(), [](const json::value& trial) { return trial.at("limits_kept").as_bool(); });
      }
      best["capacity_requests_per_s"] = capacity;
    }
    best["trials"] = std::move(trials);
    return best;
  }

  static constexpr uint64_t kSeed = 1;
  const ScenarioArgs& args_;
  Arrivals arrivals_;
  Load& load_;
  ModelServer& server_;
  StepProgress& progress_;
};

int64_t longest_of(const Load& load) {
  int64_t longest = 0;
  for (const LoadRequest& request : load.requests) longest = std::max(longest, request.prompt_tokens() + request.reply_tokens);
  return longest;
}

std::string row_text(const json::object& row) {
  const auto percentiles = [&](const char* key) {
    const json::value* value = row.if_contains(key);
    if (value == nullptr || value->is_null()) return std::string("-");
    const json::object& of = value->as_object();
    return fmt::format("{:.1f}/{:.1f}/{:.1f}", of.at("p50").to_number<double>(), of.at("p90").to_number<double>(),
                       of.at("p99").to_number<double>());
  };
  const auto number = [&](const char* key, const char* form, double factor = 1) {
    const json::value* value = row.if_contains(key);
    if (value == nullptr || value->is_null()) return std::string("-");
    return fmt::format(fmt::runtime(form), factor * value->to_number<double>());
  };
  return fmt::format("{:<13} {:<13} {:<11} {:>5} {:>7}  {:<10} {:<5} {:>9} {:>7} {:>10} {:>9} {:>9} {:>7}  {:<24} {:<20} {}\n",
                     std::string_view(row.at("scenario").as_string()), std::string_view(row.at("name").as_string()),
                     std::string_view(row.at("arrivals").as_string()), row.at("batch").to_number<int64_t>(),
                     row.at("threads").to_number<int>(), std::string_view(row.at("format").as_string()),
                     std::string_view(row.at("kv_type").as_string()),
                     fmt::format("{}/{}", row.at("completed").to_number<int64_t>(), row.at("requests").to_number<int64_t>()),
                     number("request_rate", "{:.3g}"), number("requests_per_s", "{:.3f}"), number("prompt_tokens_per_s", "{:.1f}"),
                     number("output_tokens_per_s", "{:.1f}"), number("reused_prompt_share", "{:.0f} %", 100), percentiles("ttft_ms"),
                     percentiles("tpot_ms"), percentiles("e2el_ms"));
}

// How much of a trace was replayed.
std::string trace_text(const json::object& row) {
  const json::object& load = row.at("load").as_object();
  const json::value* all = load.if_contains("trace_requests");
  if (all == nullptr) return "";
  const auto used = row.at("requests").to_number<int64_t>(), held = all->to_number<int64_t>();
  const char* more = used < held ? "the first {} of the {} requests of the trace (--requests)" : "{} of {} requests of the trace, all";
  return fmt::format("  {}\n", fmt::format(fmt::runtime(more), used, held));
}

// Empty unless more came than could be done.
std::string backlog_text(const json::object& row) {
  const json::value* sustained = row.if_contains("sustained");
  if (sustained == nullptr || sustained->as_bool()) return "";
  return fmt::format("not sustained: {:.3g} s after the last arrival the last was done", row.at("drain_s").to_number<double>());
}

std::string limits_text(const json::object& row) {
  const json::value* limits = row.if_contains("limits");
  const std::string backlog = backlog_text(row);
  if (limits == nullptr) return backlog.empty() ? "" : fmt::format("  {}\n", backlog);
  std::string names;
  for (const auto& [key, limit] : limits->as_object()) {
    names += fmt::format("{}{} p99 <= {:g}", names.empty() ? "" : ", ", std::string_view(key), limit.to_number<double>());
  }
  const json::value* highest = row.if_contains("highest_rate");
  if (highest == nullptr) {
    const bool kept = row.at("limits_kept").as_bool();
    std::string text = fmt::format("  {}: {}", names, kept ? "kept" : "missed");
    if (!backlog.empty()) text += fmt::format(", {} {}", kept ? "but" : "and", backlog);
    return text + "\n";
  }
  if (highest->is_null()) {
    return fmt::format("  {}: no rate {}; the line above is of {} requests one by one\n", names,
                       row.at("limits_kept").as_bool() ? "is known to last, for these are too few requests (--requests)" : "keeps it",
                       row.at("requests").to_number<int64_t>());
  }
  std::string text = fmt::format("  {}: up to {:.3g} requests/s ({} trials; all at once: {:.3g})\n", names, highest->to_number<double>(),
                                 row.at("trials").as_array().size(), row.at("capacity_requests_per_s").to_number<double>());
  const json::array& trials = row.at("trials").as_array();
  const auto too_short = [](const json::value& trial) { return trial.at("limits_kept").as_bool() && !trial.at("sustained").as_bool(); };
  if (std::any_of(trials.begin(), trials.end(), too_short)) {
    text += "  higher rates keep it too, but these are too few requests to tell whether a queue would grow: --requests\n";
  }
  return text;
}

// All loads and batches of one engine.
void run_engine(const BenchArgs& args, Contestant& contestant, StepProgress& progress, const std::function<void(json::object)>& give) {
  Engine& engine = contestant.engine;
  const bool one_by_one = scenarios().at(args.scenario.name).arrivals == Arrivals::kOneByOne;
  const std::vector<int64_t> batches = one_by_one           ? std::vector<int64_t>{1}
                                       : args.batch.empty() ? std::vector<int64_t>{kBatch}
                                                            : args.batch;
  for (Load& load : loads_of(args, engine.model().config())) {
    const auto has_pace = [](const LoadRequest& request) { return request.reply_tokens >= 2; };
    if (args.scenario.limits.tpot_ms && std::none_of(load.requests.begin(), load.requests.end(), has_pace)) {
      refuse("got --tpot-ms for replies of one token, which have no time between tokens");
    }
    for (const int64_t batch : batches) {
      const auto running = std::min<int64_t>(batch, std::ssize(load.requests));
      const auto server = ModelServer::make(engine, longest_of(load), {.batch = running, .reuse_prefixes = !args.scenario.no_prefix_cache});
      json::object row{{"scenario", args.scenario.name},
                       {"name", load.name},
                       {"load", load.json},
                       {"batch", running},
                       {"threads", engine.backend->threads().num_threads()},
                       {"format", contestant.format},
                       {"kv_type", kv_type_info(engine.kv_type).name}};
      for (auto& [key, value] : Runner(args.scenario, load, *server, progress).run()) row[key] = std::move(value);
      give(std::move(row));
    }
  }
}

void run_engines(const BenchArgs& args, StepProgress& progress, json::object& facts, const std::function<void(json::object)>& give) {
  for (const int64_t count : args.threads.empty() ? std::vector<int64_t>{0} : args.threads) {
    std::optional<PlanTarget> target;
    bool noted = false;
    for (const std::string& format : args.formats.empty() ? std::vector<std::string>{""} : args.formats) {
      progress("loading " + (format.empty() ? std::string("the model") : format), 0);
      Engine engine = open_format(args, static_cast<int>(count), format, target);
      Contestant contestant{format.empty() ? given_format(engine) : format, std::move(engine)};
      if (args.json && !std::exchange(noted, true)) note_machine(args, contestant.engine, facts);
      run_engine(args, contestant, progress, give);
    }
  }
}

}  // namespace

void run_scenarios(const BenchArgs& args) {
  check_usage(args);
  const std::string header =
      fmt::format("{:<13} {:<13} {:<11} {:>5} {:>7}  {:<10} {:<5} {:>9} {:>7} {:>10} {:>9} {:>9} {:>7}  {:<24} {:<20} {}\n", "scenario",
                  "load", "arrivals", "batch", "threads", "format", "kv", "done", "rate/s", "requests/s", "prompt/s", "output/s", "reused",
                  "TTFT p50/p90/p99 ms", "TPOT ms", "E2EL ms");
  StepProgress progress;
  const json::array rows = report_rows(
      args, header, [](const json::object& row) { return row_text(row) + trace_text(row) + limits_text(row); }, progress,
      [&](json::object& facts, const auto& give) { run_engines(args, progress, facts, give); });
  if (!args.scenario.limits.any()) return;
  const auto missed = std::count_if(rows.begin(), rows.end(), [](const json::value& row) { return !row.at("limits_kept").as_bool(); });
  if (missed > 0) fail(ErrorKind::kFailed, "bench", "the limits are missed in {} of {} rows", missed, rows.size());
}

CLI::Option* add_scenario_options(CLI::App& command, ScenarioArgs& args) {
  std::vector<std::string> names;
  for (const auto& [name, scenario] : scenarios()) names.push_back(name);
  CLI::Option* scenario =
      command.add_option("--scenario", args.name, "Requests as they come: when, and what each of them waits")->check(CLI::IsMember(names));
  const auto add = [&](const char* name, auto& value, const char* help) { return command.add_option(name, value, help)->needs(scenario); };
  const CLI::Validator positive = number_range(1e-6, 1e9);
  add("--requests", args.requests, "Requests (default 64; one by one 16, long-context 4)")->check(CLI::Range(1, 1 << 20));
  add("--request-rate", args.rate, "Requests per second (constant, poisson); without it the highest that keeps the limits")
      ->check(positive);
  add("--ttft-ms", args.limits.ttft_ms, "Limit of the 99th percentile of the time to the first token")->check(positive);
  add("--tpot-ms", args.limits.tpot_ms, "The same of the time per output token after the first")->check(positive);
  add("--e2el-ms", args.limits.e2el_ms, "The same of the latency from arrival to end")->check(positive);
  add("--prefix", args.prefix, "Tokens that all prompts begin with, before --prefill (shared-prefix: 512)")->check(CLI::Range(1, 1 << 24));
  command.add_flag("--no-prefix-cache", args.no_prefix_cache, "Compute anew what prompts have in common")->needs(scenario);
  add("--trace", args.trace,
      "Requests to replay: .csv as Azure's traces, .jsonl as Mooncake's; the first --requests of it, lengths scaled to the context");
  add("--speedup", args.speedup, "How many times as fast a trace is replayed")->check(positive);
  add("--context", args.context, "Longest sequence (default: what the model allows)")->check(CLI::Range(1, 1 << 24));
  add("--seed", args.seed, "Seed of Poisson arrivals (default 1)")->check(seed_range());
  return scenario;
}

}  // namespace citius::cli
