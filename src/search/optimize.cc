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
#include "runtime/receipt.h"
#include "search/choice.h"
#include "search/environment.h"
#include "search/journal.h"
#include "search/package_writer.h"
#include "search/sensitivity.h"

namespace citius {
namespace {

// Races go on, turn by turn, until the 95 % interval of the speedup is narrower than this share of it.
constexpr double kWideInterval = 0.08;
constexpr int kMostTurns = 5;
constexpr int kRaceRounds = 5;  // of each side in a turn, at least

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
        workload_(goal_workload(base_engine_.model().config(), goal_)) {
    costs_.load = now() - started_;
  }

  Report run() {
    const std::filesystem::path out = package_target(options_.out);
    begin_report();
    digest_ = model_digest(base_engine_.checkpoint);
    refuse_other_model(out, digest_);
    Journal journal(out.string() + ".partial", journal_key(options_, digest_, report_.budget, report_.machine));
    prepare_items(journal);
    measure_base(journal);
    is_new({});  // as given
    for (const FormatPlan& plan : uniform_plans(space_)) {
      if (is_new(plan)) try_plan(plan, journal);
    }
    try_mixtures(journal);
    choose_and_verify(
        report_, budget_, [this](const FormatPlan& plan, double confidence) { return measure_again(plan, confidence); },
        [this](const FormatPlan& plan) { return race_again(plan); }, [this] { return time_left() < verify_seconds() + write_seconds(); });
    report_.seconds = now() - started_;
    write_results();
    journal.discard();
    return std::move(report_);
  }

 private:
  static double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
  double time_left() const { return started_ + options_.max_seconds - now(); }
  // At the least: races that stay unclear go on as long as there is time.
  double candidate_seconds() const { return costs_.load + costs_.item * static_cast<double>(num_few() + num_choose_) + costs_.turn; }
  double verify_seconds() const { return costs_.load + costs_.item * static_cast<double>(num_items_ - num_choose_) + costs_.turn; }
  double write_seconds() const { return costs_.load + costs_.receipt; }
  bool out_of_time() const { return time_left() < candidate_seconds() + verify_seconds() + write_seconds(); }
  // Of the items to choose by, those that tell what is hopeless.
  size_t num_few() const { return std::min(num_choose_, std::max<size_t>(4, num_choose_ / 4)); }

  // Remembers the most that a part of the work took.
  template <typename F>
  static auto timed(double& most, double parts, const F& work) {
    const double begin = now();
    auto result = work();
    most = std::max(most, (now() - begin) / parts);
    return result;
  }

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
    engine.compute = options_.compute;
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
    report_.compute = options_.compute;
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
    reference_ = timed(costs_.item, static_cast<double>(num_items_),
                       [&] { return make_reference(base_engine_, std::move(chosen.items), step("reference outputs")); });
    EngineOptions slow;
    slow.backend = "ref";
    slow.num_threads = options_.num_threads;
    Checkpoint plain = base_engine_.checkpoint;
    plain.package = {};  // no receipt is replayed here
    Engine scalar = open_engine(std::move(plain), slow);
    costs_.receipt = estimate_receipt_seconds(scalar);
  }

  // Rates, latencies and shares of the machine's limits from the rounds of one contestant. `pace` is what the base took in
  // its own measurement over what it took in these rounds: with it rates of different times can be compared, and agree
  // with the speedup.
  void fill_speed(Candidate& candidate, const Engine& engine, const SpeedRunner& runner, std::span<const Round> rounds, double pace) const {
    std::vector<double> seconds = round_seconds(rounds), latencies = latencies_ms(rounds);
    for (double& value : seconds) value *= pace;
    for (double& value : latencies) value *= pace;
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

  // Both in the same rounds; returns how many times faster (or smaller) `engine` is. `reserve`: seconds to leave for what
  // follows.
  Estimate race(Engine& engine, Candidate& candidate, const std::string& name, int most_turns, double reserve) {
    const std::unique_ptr<SpeedRunner> base = SpeedRunner::make(base_engine_, workload_);
    const std::unique_ptr<SpeedRunner> other = SpeedRunner::make(engine, workload_);
    SpeedRunner* contestants[] = {base.get(), other.get()};
    std::vector<std::vector<Round>> rounds(2);
    Estimate speedup;
    // On a busy machine one turn leaves a wide interval: then there are more of them.
    const auto go_on = [&](int turn) {
      const bool unclear = speedup.high - speedup.low > kWideInterval * speedup.value;
      return turn < most_turns && unclear && time_left() > costs_.turn + reserve;
    };
    for (int turn = 0; turn == 0 || go_on(turn); ++turn) {
      SpeedOptions speed;
      speed.seconds = options_.race_seconds;
      speed.repeats = kRaceRounds;
      const auto more = timed(costs_.turn, 1, [&] {
        return measure_interleaved(contestants, speed, step(fmt::format("{}: speed{}", name, turn == 0 ? "" : ", again")));
      });
      for (size_t i = 0; i < rounds.size(); ++i) rounds[i].insert(rounds[i].end(), more[i].begin(), more[i].end());
      speedup = speedup_estimate(round_seconds(rounds[0]), round_seconds(rounds[1]), options_.seed);
    }
    fill_speed(candidate, engine, *other, rounds[1], report_.base.median_ms / 1e3 / median(round_seconds(rounds[0])));
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
      candidate.quality =
          timed(costs_.item, static_cast<double>(count), [&] { return reference_->compare(engine, 0, count, step(name + ": quality")); });
    };
    on_items(num_few());
    const bool rough = goal_ == Goal::kMemory || hopeless(budget_, candidate.quality);
    const double rest = costs_.item * static_cast<double>(num_choose_) + verify_seconds() + write_seconds();
    candidate.speedup = race(engine, candidate, name, rough ? 1 : kMostTurns, rest);
    if (num_few() < num_choose_ && candidate.speedup.high >= kLeastSpeedup && !hopeless(budget_, candidate.quality)) on_items(num_choose_);
    candidate.measured = true;
  }

  void measure_base(Journal& journal) {
    Candidate& base = report_.base;
    base.plan.name = "as given";
    if (!journal.find(base)) {
      const std::unique_ptr<SpeedRunner> runner = SpeedRunner::make(base_engine_, workload_);
      SpeedRunner* contestants[] = {runner.get()};
      SpeedOptions speed;
      speed.seconds = options_.race_seconds;
      speed.repeats = 7;
      const auto rounds = measure_interleaved(contestants, speed, step("as given: speed"));
      fill_speed(base, base_engine_, *runner, rounds[0], /*pace=*/1);
      base.speedup = {1, 1, 1};
      base.num_items = num_choose_;
      costs_.item = 0;  // the exact mode is slower than what follows
      base.quality = timed(costs_.item, static_cast<double>(num_choose_),
                           [&] { return reference_->compare(base_engine_, 0, num_choose_, step("as given: quality")); });
      base.measured = true;
      journal.keep(base);
    }
    costs_.turn = 2 * std::max(options_.race_seconds, kRaceRounds * base.median_ms / 1e3);
    base.passed = !violation(budget_, base.quality);
    if (!base.passed) base.reason = *violation(budget_, base.quality);
    report_.base_misses = missed(budget_, base.quality);
  }

  // Whether a plan gives some weight another format than the model as given and every plan before: formats that do not fit the
  // width of a weight fall back to the same one.
  bool is_new(const FormatPlan& plan) {
    const FormatPolicy policy = make_policy(plan, space_.target);
    std::map<std::string, Format> formats;  // by name: every runner of the base reads its output layer again
    for (const WeightRecord& record : base_engine_.loaded.load.records) formats.emplace(record.name, policy(record));
    return seen_.insert(std::move(formats)).second;
  }

  const Candidate& try_plan(const FormatPlan& plan, Journal& journal) {
    Candidate& candidate = report_.candidates.emplace_back();
    candidate.plan = plan;
    if (!journal.find(candidate)) {
      if (out_of_time()) {
        candidate.reason = fmt::format("not measured: too little of the {:g} s was left for it", options_.max_seconds);
        return candidate;
      }
      if (on_step_) on_step_(plan.name + ": load", 0);
      Engine engine = timed(costs_.load, 1, [&] { return open_plan(plan); });
      try {
        measure(engine, candidate);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kFailed) throw;
        candidate = {};  // its outputs are no numbers
        candidate.plan = plan;
        candidate.reason = error.what();
        return candidate;
      }
      journal.keep(candidate);
    }
    judge(candidate, budget_, goal_);
    return candidate;
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
    const std::vector<size_t> order = ranking(report_.candidates);
    const int coarse = fastest_too_coarse(order.empty() ? 1.0 : report_.candidates[order.front()].speedup.value);
    if (coarse < 0) return;
    const FormatPlan coarse_plan = report_.candidates[static_cast<size_t>(coarse)].plan;
    FormatPlan finer;  // as given
    if (!order.empty()) finer = report_.candidates[order.front()].plan;
    find_sensitivity(coarse_plan, journal);
    std::vector<int64_t> worst;
    for (const auto& [layer, harm] : report_.sensitivity) worst.push_back(layer);
    for (const FormatPlan& plan : mixed_plans(coarse_plan, finer, worst, space_.target.num_layers)) {
      if (is_new(plan)) try_plan(plan, journal);
    }
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

  Verification measure_again(const FormatPlan& plan, double confidence) {
    Engine engine = open_plan(plan);
    Verification verification;
    verification.num_items = num_items_ - num_choose_;
    Candidate again;
    try {
      verification.quality = reference_->compare(engine, num_choose_, num_items_, step(plan.name + ": verify quality"), confidence);
      verification.speedup = race(engine, again, plan.name + ": verify", kMostTurns, write_seconds());
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kFailed) throw;
      verification.reason = error.what();
    }
    return verification;
  }

  Estimate race_again(const FormatPlan& plan) {
    Engine engine = open_plan(plan);
    Candidate again;
    return race(engine, again, plan.name + ": verify", kMostTurns, write_seconds());
  }

  json::object recipe() const {
    json::object recipe;
    recipe["source_digest"] = digest_;
    recipe["formats"] = plan_json(report_.choice().plan);
    recipe["given"] = given_formats();
    recipe["goal"] = report_.goal;
    recipe["budget"] = report_.budget;
    recipe["compute"] = compute_name(report_.compute);
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
    const bool worth = report_.changed() || (report_.base.passed && std::ranges::any_of(report_.candidates, &Candidate::measured));
    report_.written = worth || !is_package(options_.out);
    if (!report_.written) return;
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
    package.on_written = step("writing " + options_.out.string());
    write_optimized(base_engine_.checkpoint, package);
  }

  const OptimizeOptions& options_;
  const OnStep& on_step_;
  double started_;
  struct {
    double load = 0;     // of a model
    double item = 0;     // comparing it on one
    double turn = 0;     // of a race, both sides
    double receipt = 0;  // of the package
  } costs_;              // seconds, the most that each took
  Goal goal_;
  Engine base_engine_;
  CandidateSpace space_;
  Budget budget_;
  Workload workload_;
  std::unique_ptr<QualityReference> reference_;
  std::set<std::map<std::string, Format>> seen_;  // of the weights under every plan so far
  std::string digest_;                            // of the model
  size_t num_choose_ = 0;
  size_t num_items_ = 0;
  Report report_;
};

}  // namespace

Report optimize(const OptimizeOptions& options, const OnStep& on_step) {
  package_target(options.out);  // before a model is loaded
  return Optimizer(options, on_step).run();
}

}  // namespace citius
