#include "search/optimize.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "base/digest.h"
#include "base/error.h"
#include "base/json_text.h"
#include "eval/work.h"
#include "io/package.h"
#include "search/environment.h"
#include "search/journal.h"
#include "search/package_writer.h"
#include "search/sensitivity.h"

namespace citius {
namespace {

// A candidate must be faster than the base by more than the noise of the clock itself.
constexpr double kLeastSpeedup = 1.01;

class Optimizer {
 public:
  Optimizer(const OptimizeOptions& options, const OnStep& on_step)
      : options_(options), on_step_(on_step), started_(now()), base_engine_(open({})), space_(read_space()),
        budget_(parse_budget(budget_text(), space_.language_model)), workload_(make_workload()) {
    if (options_.goal != "latency" && options_.goal != "throughput" && options_.goal != "memory") {
      fail(ErrorKind::kUsage, "goal", "got '{}', expected latency, throughput or memory", options_.goal);
    }
  }

  Report run() {
    if (std::filesystem::exists(options_.out) && !is_package(options_.out) &&
        !(std::filesystem::is_directory(options_.out) && std::filesystem::is_empty(options_.out))) {
      fail(ErrorKind::kUsage, options_.out.string(), "exists and is no package; name another --out");
    }
    begin_report();
    const std::filesystem::path partial = options_.out.string() + ".partial";
    Journal journal(partial, journal_key(options_, report_.machine));
    prepare_items();
    measure_base(journal);
    for (const FormatPlan& plan : uniform_plans(space_)) try_plan(plan, journal);
    try_mixtures(journal);
    choose_and_verify();
    report_.seconds = now() - started_;
    write_results(partial);
    return std::move(report_);
  }

 private:
  static double now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  bool out_of_time() const { return now() - started_ > options_.max_seconds; }
  std::string budget_text() const {
    return options_.budget.empty() ? default_budget(space_.language_model) : options_.budget;
  }

  OnProgress step(const std::string& name) const {
    if (!on_step_) return {};
    on_step_(name, 0);
    return [this, name](double share) { on_step_(name, share); };
  }

  Engine open(const FormatPolicy& policy) const {
    EngineOptions engine;
    engine.num_threads = options_.num_threads;
    engine.isa = options_.isa;
    engine.policy = policy;
    return open_engine(options_.model, engine);
  }
  Engine open_plan(const FormatPlan& plan) const { return open(make_policy(plan, space_.target)); }

  CandidateSpace read_space() const {
    const Model& model = base_engine_.model();
    CandidateSpace space;
    space.language_model = model.config().causal;
    space.target = plan_target(model);
    std::map<Format, double> weights;
    double bits = 0, total = 0;
    for (const WeightRecord& record : base_engine_.loaded.load.records) {
      if (place_of(record.name).layer < 0) continue;
      const double size = static_cast<double>(record.rows) * static_cast<double>(record.cols);
      weights[record.stored] += size;
      bits += size * format_bits_per_weight(record.stored, record.cols);
      total += size;
    }
    for (const auto& [format, size] : weights) space.stored.push_back(format);
    std::sort(space.stored.begin(), space.stored.end(), [&](Format a, Format b) { return weights[a] > weights[b]; });
    if (total > 0) space.bits_per_weight = bits / total;
    return space;
  }

  Workload make_workload() const {
    Workload workload;
    const bool throughput = options_.goal == "throughput";
    const int64_t positions = base_engine_.model().config().max_positions;
    if (space_.language_model) {
      workload.kind = Workload::Kind::kDecode;
      workload.batch = throughput ? 16 : 1;
      workload.prompt = std::min<int64_t>(128, positions / 2);
      workload.length = std::min<int64_t>(throughput ? 16 : 32, positions - workload.prompt);
    } else {
      workload.kind = Workload::Kind::kEncode;
      workload.batch = throughput ? 32 : 1;
      workload.length = std::min<int64_t>(128, positions);
    }
    return workload;
  }

  void begin_report() {
    report_.model = options_.model.string();
    report_.architecture = base_engine_.model().config().architecture;
    report_.goal = options_.goal;
    report_.budget = budget_text();
    report_.seed = options_.seed;
    report_.language_model = space_.language_model;
    report_.unit = space_.language_model ? "tokens" : "sequences";
    report_.workload = space_.language_model
                           ? fmt::format("{} new tokens of {} sequence(s) after a prompt of {}", workload_.length,
                                         workload_.batch, workload_.prompt)
                           : fmt::format("{} sequence(s) of {} tokens", workload_.batch, workload_.length);
    report_.machine = machine_json(base_engine_);
    report_.versions = versions_json();
  }

  void prepare_items() {
    ItemOptions items;
    items.texts = options_.texts;
    items.plain = options_.plain;
    items.seed = options_.seed;
    items.num_windows = options_.num_windows;
    ChosenItems chosen = make_items(base_engine_, items, step("text to judge by"));
    report_.data = chosen.source;
    report_.num_choose = num_choose_ = chosen.num_choose;
    num_items_ = chosen.items.size();
    ComputeScope exact(base_engine_, Compute::kExact);
    reference_ = make_reference(base_engine_, std::move(chosen.items), step("reference outputs"));
  }

  // Rates, latencies and shares of the machine's limits from the rounds of one contestant.
  void fill_speed(Candidate& candidate, const Engine& engine, const SpeedRunner& runner, std::span<const Round> rounds) const {
    const std::vector<double> seconds = round_seconds(rounds), latencies = latencies_ms(rounds);
    candidate.median_ms = median(seconds) * 1e3;
    candidate.p50_ms = quantile(latencies, 0.5);
    candidate.p90_ms = quantile(latencies, 0.9);
    candidate.p99_ms = quantile(latencies, 0.99);
    candidate.units_per_s = runner.units() / median(seconds);
    candidate.weight_bytes = weight_totals(engine).resident_bytes;
    const Limits limits = machine_limits(report_.machine, engine);
    const Work work = work_of(engine, runner.workload());
    candidate.round_bytes = work.bytes;
    candidate.round_operations = work.operations;
    if (limits.bytes_per_s > 0) candidate.share_of_bandwidth = work.bytes / median(seconds) / limits.bytes_per_s;
    if (limits.operations_per_s > 0) candidate.share_of_peak = work.operations / median(seconds) / limits.operations_per_s;
    std::set<std::string> kernels;
    for (const WeightRecord& record : engine.loaded.load.records) kernels.insert(record.kernel);
    candidate.kernels.assign(kernels.begin(), kernels.end());
  }

  // Both in the same rounds; returns how many times faster `engine` is.
  Estimate race(Engine& engine, Candidate& candidate, const std::string& name, double seconds) {
    const std::unique_ptr<SpeedRunner> base = SpeedRunner::make(base_engine_, workload_);
    const std::unique_ptr<SpeedRunner> other = SpeedRunner::make(engine, workload_);
    SpeedRunner* contestants[] = {base.get(), other.get()};
    SpeedOptions speed;
    speed.seconds = seconds;
    speed.repeats = 7;
    const auto rounds = measure_interleaved(contestants, speed, step(name + ": speed"));
    fill_speed(candidate, engine, *other, rounds[1]);
    if (options_.goal == "memory") {
      const double ratio = weight_totals(base_engine_).resident_bytes / candidate.weight_bytes;
      return {ratio, ratio, ratio};
    }
    return speedup_estimate(round_seconds(rounds[0]), round_seconds(rounds[1]), options_.seed);
  }

  void measure_base(Journal& journal) {
    Candidate& base = report_.base;
    base.plan.name = "as given";
    if (!journal.find(base)) {
      const std::unique_ptr<SpeedRunner> runner = SpeedRunner::make(base_engine_, workload_);
      SpeedRunner* contestants[] = {runner.get()};
      SpeedOptions speed;
      speed.repeats = 7;
      const auto rounds = measure_interleaved(contestants, speed, step("as given: speed"));
      fill_speed(base, base_engine_, *runner, rounds[0]);
      base.speedup = {1, 1, 1};
      base.quality = reference_->compare(base_engine_, 0, num_choose_, step("as given: quality"));
      base.measured = true;
      journal.keep(base);
    }
    base.passed = !violation(budget_, base.quality);
    if (!base.passed) base.reason = *violation(budget_, base.quality);
  }

  const Candidate& try_plan(const FormatPlan& plan, Journal& journal) {
    Candidate& candidate = report_.candidates.emplace_back();
    candidate.plan = plan;
    if (!journal.find(candidate)) {
      if (out_of_time()) {
        candidate.reason = fmt::format("not measured: the time limit of {:g} s was reached", options_.max_seconds);
        return candidate;
      }
      if (on_step_) on_step_(plan.name + ": load", 0);
      Engine engine = open_plan(plan);
      candidate.speedup = race(engine, candidate, plan.name, /*seconds=*/2);
      candidate.quality = reference_->compare(engine, 0, num_choose_, step(plan.name + ": quality"));
      candidate.measured = true;
      journal.keep(candidate);
    }
    judge(candidate);
    return candidate;
  }

  void judge(Candidate& candidate) const {
    const std::optional<std::string> reason = violation(budget_, candidate.quality);
    candidate.passed = !reason;
    if (reason) {
      candidate.reason = *reason;
    } else if (candidate.speedup.low < kLeastSpeedup) {
      candidate.reason = fmt::format("not surely {} than the model as given: {:.2f}x, 95 % bound {:.2f}x",
                                     options_.goal == "memory" ? "smaller" : "faster", candidate.speedup.value,
                                     candidate.speedup.low);
    }
  }

  static bool eligible(const Candidate& candidate) {
    return candidate.measured && candidate.passed && candidate.speedup.low >= kLeastSpeedup;
  }

  /// Indices of the candidates that may be chosen, fastest first.
  std::vector<size_t> ranking() const {
    std::vector<size_t> order;
    for (size_t i = 0; i < report_.candidates.size(); ++i) {
      if (eligible(report_.candidates[i])) order.push_back(i);
    }
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return report_.candidates[a].speedup.value > report_.candidates[b].speedup.value;
    });
    return order;
  }

  // Where a coarse format is faster than all that passed but fails the budget, its worst layers get a finer one.
  void try_mixtures(Journal& journal) {
    const std::vector<size_t> order = ranking();
    const double fastest = order.empty() ? 1.0 : report_.candidates[order.front()].speedup.value;
    int coarse = -1;
    for (size_t i = 0; i < report_.candidates.size(); ++i) {
      const Candidate& candidate = report_.candidates[i];
      if (!candidate.measured || candidate.passed || !candidate.plan.body || candidate.speedup.value < 1.05 * fastest) continue;
      if (coarse < 0 || candidate.speedup.value > report_.candidates[static_cast<size_t>(coarse)].speedup.value) {
        coarse = static_cast<int>(i);
      }
    }
    if (coarse < 0 || out_of_time()) return;
    const FormatPlan coarse_plan = report_.candidates[static_cast<size_t>(coarse)].plan;
    FormatPlan finer;
    finer.body = space_.language_model ? Format::kInt8G32 : Format::kInt8;
    if (!order.empty() && report_.candidates[order.front()].plan.body) finer = report_.candidates[order.front()].plan;
    if (finer.body == coarse_plan.body) return;
    report_.sensitivity = layer_sensitivity(
        [&](const FormatPlan& plan) { return open_plan(plan); }, *reference_, coarse_plan, space_.target.num_layers,
        std::min<size_t>(num_choose_, space_.language_model ? 2 : 32), step("sensitivity of the layers"), [&] { return out_of_time(); });
    std::vector<int64_t> worst;
    for (const auto& [layer, harm] : report_.sensitivity) worst.push_back(layer);
    for (const FormatPlan& plan : mixed_plans(coarse_plan, finer, worst, space_.target.num_layers)) try_plan(plan, journal);
  }

  // The fastest first; each that fails on fresh items makes way for the next. At most three are verified, so that the
  // chance of a lucky pass stays small.
  void choose_and_verify() {
    const std::vector<size_t> order = ranking();
    for (size_t rank = 0; rank < order.size() && rank < 3; ++rank) {
      Candidate& candidate = report_.candidates[order[rank]];
      Engine engine = open_plan(candidate.plan);
      Verification verification;
      verification.done = true;
      verification.candidate = candidate.plan.name;
      verification.num_items = num_items_ - num_choose_;
      verification.quality = reference_->compare(engine, num_choose_, num_items_, step(candidate.plan.name + ": verify quality"));
      Candidate again;
      verification.speedup = race(engine, again, candidate.plan.name + ": verify", /*seconds=*/2);
      const std::optional<std::string> reason = violation(budget_, verification.quality);
      verification.passed = !reason && verification.speedup.low > 1;
      if (reason) verification.reason = *reason;
      if (!reason && !verification.passed) verification.reason = "not surely faster when measured again";
      report_.verifications.push_back(verification);
      if (verification.passed) {
        report_.chosen = static_cast<int>(order[rank]);
        break;
      }
      candidate.reason = "on items that were not used to choose: " + verification.reason;
      candidate.passed = false;
    }
    for (size_t i = 0; i < report_.candidates.size(); ++i) {
      Candidate& candidate = report_.candidates[i];
      if (static_cast<int>(i) == report_.chosen || !candidate.reason.empty()) continue;
      candidate.reason = fmt::format("{} is faster and passes too", report_.choice().plan.name);
    }
  }

  json::object recipe() const {
    json::object recipe;
    recipe["source_digest"] = model_digest(options_.model);
    recipe["formats"] = plan_json(report_.choice().plan);
    recipe["goal"] = report_.goal;
    recipe["budget"] = report_.budget;
    recipe["seed"] = report_.seed;
    recipe["data"] = report_.data;
    std::string text;
    for (const std::string& part : options_.texts) text += sha256(part);
    recipe["data_digest"] = options_.texts.empty() ? json::value(nullptr) : json::value(sha256(text));
    recipe["versions"] = report_.versions;
    return recipe;
  }

  static json::object measurements(const json::object& facts) {
    json::object kept;
    for (const char* key : {"machine", "workload", "base", "chosen", "verified"}) kept[key] = facts.at(key);
    return kept;
  }

  void write_results(const std::filesystem::path& partial) {
    if (on_step_) on_step_("package and receipt", 0);
    OptimizedPackage package;
    package.directory = options_.out;
    if (report_.changed()) package.policy = make_policy(report_.choice().plan, space_.target);
    const json::object facts = report_json(report_);
    package.recipe = recipe();
    package.measurements = measurements(facts);
    package.files = {{"report.json", json_text(facts, /*pretty=*/true) + "\n"}, {"report.html", report_html(report_)}};
    package.seed = options_.seed;
    package.num_threads = options_.num_threads;
    write_optimized(base_engine_.checkpoint, package);
    std::error_code ignored;
    std::filesystem::remove_all(partial, ignored);
  }

  const OptimizeOptions& options_;
  const OnStep& on_step_;
  double started_;
  Engine base_engine_;
  CandidateSpace space_;
  Budget budget_;
  Workload workload_;
  std::unique_ptr<QualityReference> reference_;
  size_t num_choose_ = 0;
  size_t num_items_ = 0;
  Report report_;
};

}  // namespace

Report optimize(const OptimizeOptions& options, const OnStep& on_step) { return Optimizer(options, on_step).run(); }

}  // namespace citius
