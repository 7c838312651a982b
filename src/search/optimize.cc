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
#include "runtime/decoder.h"
#include "search/environment.h"
#include "search/journal.h"
#include "search/package_writer.h"
#include "search/sensitivity.h"

namespace citius {
namespace {

// A candidate must be faster than the base by more than the noise of the clock itself.
constexpr double kLeastSpeedup = 1.01;
constexpr size_t kMostVerified = 3;
// Races go on, turn by turn, until the 95 % interval of the speedup is narrower than this share of it.
constexpr double kWideInterval = 0.08;
constexpr int kMostTurns = 5;

json::array windows_to_json(std::span<const ScoredSequence> windows) {
  json::array list;
  for (const ScoredSequence& window : windows) list.push_back(json::value_from(window.tokens));
  return list;
}

// Empty where `value` is null. The journal is a file of ours, of the same model; still, nothing in it is trusted.
std::vector<ScoredSequence> windows_from(const json::value& value) {
  std::vector<ScoredSequence> windows;
  if (!value.is_array()) return windows;
  for (const json::value& window : value.get_array()) {
    const auto tokens = json::try_value_to<std::vector<int32_t>>(window);
    if (!tokens || tokens->size() < 2) return {};
    windows.push_back({*tokens, 1});
  }
  return windows;
}

class Optimizer {
 public:
  Optimizer(const OptimizeOptions& options, const OnStep& on_step)
      : options_(options),
        on_step_(on_step),
        started_(now()),
        goal_(parse_goal(options.goal)),
        base_engine_(open({})),
        space_(read_space()),
        budget_(parse_budget(budget_text(), space_.language_model)),
        workload_(goal_workload(base_engine_.model().config(), goal_)) {}

  Report run() {
    const std::filesystem::path out = package_target(options_.out);
    begin_report();
    digest_ = model_digest(base_engine_.checkpoint);
    Journal journal(out.string() + ".partial", journal_key(options_, digest_, report_.budget, report_.machine));
    prepare_items(journal);
    measure_base(journal);
    for (const FormatPlan& plan : uniform_plans(space_)) try_plan(plan, journal);
    try_mixtures(journal);
    choose_and_verify();
    report_.seconds = now() - started_;
    write_results();
    journal.discard();
    return std::move(report_);
  }

 private:
  static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
  // Room for one more candidate, and for the verification that follows the search and takes about as long.
  bool out_of_time() const { return now() - started_ + 2 * slowest_ > options_.max_seconds; }
  std::string budget_text() const { return options_.budget.empty() ? default_budget(space_.language_model) : options_.budget; }

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

  CandidateSpace read_space() {
    const Model& model = base_engine_.model();
    CandidateSpace space;
    space.goal = goal_;
    space.language_model = model.config().causal;
    if (space.language_model) Decoder(base_engine_, kKvBlock);  // its head is a weight too
    space.target = plan_target(model);
    std::map<Format, double> weights;
    double bits = 0, total = 0;
    for (const WeightRecord& record : base_engine_.loaded.load.records) {
      const WeightPlace place = place_of(record.name);
      const bool output = place.kind == WeightKind::kOutput || (space.target.tied_output && record.name == space.target.token_embedding);
      if (output) space.output_bits = format_bits_per_weight(record.stored, record.cols);
      if (place.layer < 0) continue;
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

  void begin_report() {
    report_.model = options_.model.string();
    report_.architecture = base_engine_.model().config().architecture;
    report_.goal = options_.goal;
    report_.budget = budget_text();
    report_.seed = options_.seed;
    report_.language_model = space_.language_model;
    report_.unit = space_.language_model ? "tokens" : "sequences";
    report_.workload = describe(workload_);
    report_.machine = machine_json(base_engine_);
    report_.versions = versions_json();
  }

  void prepare_items(Journal& journal) {
    ItemOptions items;
    items.texts = options_.texts;
    items.plain = options_.plain;
    items.seed = options_.seed;
    items.num_windows = 2 * options_.num_windows;
    items.sampled = windows_from(journal.note("sampled"));
    // Reference, base and candidates take their time by the window too.
    items.short_of_time = [this] { return now() - started_ > options_.max_seconds / 5; };
    ChosenItems chosen = make_items(base_engine_, items, step("text to judge by"));
    if (space_.language_model && options_.texts.empty()) journal.keep_note("sampled", windows_to_json(chosen.items.sequences));
    report_.data = chosen.source;
    report_.num_choose = num_choose_ = chosen.num_choose;
    num_items_ = chosen.items.size();
    const ComputeScope exact(base_engine_, Compute::kExact);
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

  // Both in the same rounds; returns how many times faster (or smaller) `engine` is.
  Estimate race(Engine& engine, Candidate& candidate, const std::string& name, int most_turns = kMostTurns) {
    const std::unique_ptr<SpeedRunner> base = SpeedRunner::make(base_engine_, workload_);
    const std::unique_ptr<SpeedRunner> other = SpeedRunner::make(engine, workload_);
    SpeedRunner* contestants[] = {base.get(), other.get()};
    std::vector<std::vector<Round>> rounds(2);
    Estimate speedup;
    // On a busy machine one turn leaves a wide interval: then there are more of them.
    for (int turn = 0; turn < most_turns && (turn == 0 || speedup.high - speedup.low > kWideInterval * speedup.value); ++turn) {
      SpeedOptions speed;
      speed.seconds = options_.race_seconds;
      speed.repeats = 5;
      const auto more = measure_interleaved(contestants, speed, step(fmt::format("{}: speed{}", name, turn == 0 ? "" : ", again")));
      for (size_t i = 0; i < rounds.size(); ++i) rounds[i].insert(rounds[i].end(), more[i].begin(), more[i].end());
      speedup = speedup_estimate(round_seconds(rounds[0]), round_seconds(rounds[1]), options_.seed);
    }
    fill_speed(candidate, engine, *other, rounds[1]);
    if (goal_ == Goal::kMemory) {
      const double ratio = weight_totals(base_engine_).resident_bytes / candidate.weight_bytes;
      return {ratio, ratio, ratio};
    }
    return speedup;
  }

  // A quarter of the items tells what is hopeless: that is timed only roughly. What may still be chosen after a good
  // measurement of its speed is compared on all items.
  void measure(Engine& engine, Candidate& candidate) {
    const std::string& name = candidate.plan.name;
    const auto on_items = [&](size_t count) {
      candidate.num_items = count;
      candidate.quality = reference_->compare(engine, 0, count, step(name + ": quality"));
    };
    const size_t few = std::min(num_choose_, std::max<size_t>(4, num_choose_ / 4));
    on_items(few);
    const bool rough = goal_ == Goal::kMemory || hopeless(budget_, candidate.quality);
    candidate.speedup = race(engine, candidate, name, rough ? 1 : kMostTurns);
    if (few < num_choose_ && candidate.speedup.high >= kLeastSpeedup && !hopeless(budget_, candidate.quality)) on_items(num_choose_);
    candidate.measured = true;
  }

  void measure_base(Journal& journal) {
    const double begin = now();
    Candidate& base = report_.base;
    base.plan.name = "as given";
    if (!journal.find(base)) {
      const std::unique_ptr<SpeedRunner> runner = SpeedRunner::make(base_engine_, workload_);
      SpeedRunner* contestants[] = {runner.get()};
      SpeedOptions speed;
      speed.seconds = options_.race_seconds;
      speed.repeats = 7;
      const auto rounds = measure_interleaved(contestants, speed, step("as given: speed"));
      fill_speed(base, base_engine_, *runner, rounds[0]);
      base.speedup = {1, 1, 1};
      base.num_items = num_choose_;
      base.quality = reference_->compare(base_engine_, 0, num_choose_, step("as given: quality"));
      base.measured = true;
      journal.keep(base);
    }
    base.passed = !violation(budget_, base.quality);
    if (!base.passed) base.reason = *violation(budget_, base.quality);
    slowest_ = now() - begin;
  }

  const Candidate& try_plan(const FormatPlan& plan, Journal& journal) {
    Candidate& candidate = report_.candidates.emplace_back();
    candidate.plan = plan;
    if (!journal.find(candidate)) {
      if (out_of_time()) {
        candidate.reason = fmt::format("not measured: the time limit of {:g} s was reached", options_.max_seconds);
        return candidate;
      }
      const double begin = now();
      if (on_step_) on_step_(plan.name + ": load", 0);
      Engine engine = open_plan(plan);
      measure(engine, candidate);
      journal.keep(candidate);
      slowest_ = std::max(slowest_, now() - begin);
    }
    judge(candidate);
    return candidate;
  }

  void judge(Candidate& candidate) const {
    const std::optional<std::string> reason = violation(budget_, candidate.quality);
    candidate.passed = !reason;
    candidate.reason = reason.value_or("");
    if (candidate.speedup.low >= kLeastSpeedup) return;
    candidate.reason = fmt::format("not surely {} than the model as given: {:.2f}x, 95 % bound {:.2f}x{}{}", better_word(goal_),
                                   candidate.speedup.value, candidate.speedup.low, reason ? "; " : "", candidate.reason);
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
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return report_.candidates[a].speedup.value > report_.candidates[b].speedup.value; });
    return order;
  }

  // The fastest that failed by its quality alone; -1 where what passed is about as fast.
  int fastest_too_coarse(double fastest) const {
    int coarse = -1;
    for (size_t i = 0; i < report_.candidates.size(); ++i) {
      const Candidate& candidate = report_.candidates[i];
      if (!candidate.measured || candidate.passed || !candidate.plan.body || candidate.speedup.low < kLeastSpeedup) continue;
      if (candidate.speedup.value < 1.05 * fastest) continue;
      if (coarse < 0 || candidate.speedup.value > report_.candidates[static_cast<size_t>(coarse)].speedup.value)
        coarse = static_cast<int>(i);
    }
    return coarse;
  }

  // Where a coarse format is faster than all that passed but fails the budget, some layers get the format of the fastest that
  // passed, or stay as given.
  void try_mixtures(Journal& journal) {
    const std::vector<size_t> order = ranking();
    const int coarse = fastest_too_coarse(order.empty() ? 1.0 : report_.candidates[order.front()].speedup.value);
    if (coarse < 0) return;
    const FormatPlan coarse_plan = report_.candidates[static_cast<size_t>(coarse)].plan;
    FormatPlan finer;  // as given
    if (!order.empty()) finer = report_.candidates[order.front()].plan;
    find_sensitivity(coarse_plan, journal);
    std::vector<int64_t> worst;
    for (const auto& [layer, harm] : report_.sensitivity) worst.push_back(layer);
    for (const FormatPlan& plan : mixed_plans(coarse_plan, finer, worst, space_.target.num_layers)) try_plan(plan, journal);
  }

  void find_sensitivity(const FormatPlan& coarse, Journal& journal) {
    const std::string name = "sensitivity to " + coarse.name;
    if (const auto known = json::try_value_to<std::vector<std::pair<int64_t, double>>>(journal.note(name))) {
      report_.sensitivity = *known;
      return;
    }
    const auto stop = [this] { return out_of_time(); };
    report_.sensitivity =
        layer_sensitivity([&](const FormatPlan& plan) { return open_plan(plan); }, *reference_, coarse, space_.target.num_layers,
                          std::min<size_t>(num_choose_, space_.language_model ? 2 : 32), step("sensitivity of the layers"), stop);
    if (stop()) return;
    journal.keep_note(name, json::value_from(report_.sensitivity));
  }

  // The fastest first; each that fails on fresh items makes way for the next. At most three are verified, so that the
  // chance of a lucky pass stays small.
  void choose_and_verify() {
    const std::vector<size_t> order = ranking();
    for (size_t rank = 0; rank < order.size() && rank < kMostVerified && report_.chosen < 0; ++rank) {
      Candidate& candidate = report_.candidates[order[rank]];
      if (rank > 0 && out_of_time()) {
        candidate.reason = fmt::format("not verified: the time limit of {:g} s was reached", options_.max_seconds);
        continue;
      }
      const Verification verification = verify(candidate.plan);
      report_.verifications.push_back(verification);
      if (verification.passed) {
        report_.chosen = static_cast<int>(order[rank]);
      } else {
        candidate.reason = "on items that were not used to choose: " + verification.reason;
        candidate.passed = false;
      }
    }
    for (size_t i = 0; i < report_.candidates.size(); ++i) {
      Candidate& candidate = report_.candidates[i];
      if (static_cast<int>(i) == report_.chosen || !candidate.reason.empty()) continue;
      candidate.reason = report_.changed() ? fmt::format("{} is {} and passes too", report_.choice().plan.name, better_word(goal_))
                                           : fmt::format("not verified: {} that are {} failed", kMostVerified, better_word(goal_));
    }
  }

  Verification verify(const FormatPlan& plan) {
    Engine engine = open_plan(plan);
    Verification verification;
    verification.candidate = plan.name;
    verification.num_items = num_items_ - num_choose_;
    verification.quality = reference_->compare(engine, num_choose_, num_items_, step(plan.name + ": verify quality"));
    Candidate again;
    verification.speedup = race(engine, again, plan.name + ": verify");
    if (const std::optional<std::string> reason = violation(budget_, verification.quality)) {
      verification.reason = *reason;
    } else if (verification.speedup.low <= 1) {
      verification.reason = fmt::format("not surely {} when measured again", better_word(goal_));
    }
    verification.passed = verification.reason.empty();
    return verification;
  }

  json::object recipe() const {
    json::object recipe;
    recipe["source_digest"] = digest_;
    recipe["formats"] = plan_json(report_.choice().plan);
    recipe["given"] = given_formats();
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

  // Formats in the source of the weights that the choice changes: what a package is to be compared with elsewhere.
  json::object given_formats() const {
    json::object given;
    const FormatPolicy policy = make_policy(report_.choice().plan, space_.target);
    for (const WeightRecord& record : base_engine_.loaded.load.records) {
      if (report_.changed() && policy(record) != record.stored) given[record.name] = format_name(record.stored);
    }
    return given;
  }

  static json::object measurements(const json::object& facts) {
    json::object kept;
    for (const char* key : {"machine", "workload", "base", "chosen", "verified"}) kept[key] = facts.at(key);
    return kept;
  }

  void write_results() {
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
  }

  const OptimizeOptions& options_;
  const OnStep& on_step_;
  double started_;
  double slowest_ = 0;  // seconds that the slowest candidate took
  Goal goal_;
  Engine base_engine_;
  CandidateSpace space_;
  Budget budget_;
  Workload workload_;
  std::unique_ptr<QualityReference> reference_;
  std::string digest_;  // of the model
  size_t num_choose_ = 0;
  size_t num_items_ = 0;
  Report report_;
};

}  // namespace

Report optimize(const OptimizeOptions& options, const OnStep& on_step) { return Optimizer(options, on_step).run(); }

}  // namespace citius
