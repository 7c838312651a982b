// citius optimize: the closed loop.
#include "search/optimize.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"
#include "cli/step_progress.h"
#include "cli/text_files.h"
#include "store/store.h"

namespace citius::cli {
namespace {

struct OptimizeArgs {
  std::string model, out, goal = "latency", budget, data, text_column, isa, compute = "fast";
  double max_time = 180;
  uint64_t seed = 0;
  int threads = 0;
  bool json = false;
};

// "1.86x [1.80, 1.92]"
std::string speedup_text(const Candidate& candidate) {
  if (!candidate.measured) return "-";
  return fmt::format("{:.2f}x [{:.2f}, {:.2f}]", candidate.speedup.value, candidate.speedup.low, candidate.speedup.high);
}

std::string candidate_line(const Report& report, const Candidate& candidate) {
  std::string quality;
  for (const auto& [name, estimate] : candidate.quality) quality += fmt::format("{} {:.4f}  ", name, estimate.value);
  const std::string outcome = &candidate != &report.choice() ? candidate.reason
                              : candidate.reason.empty()     ? "chosen"
                                                             : "kept; " + candidate.reason;
  const std::string rate = candidate.measured ? fmt::format("{:.1f}", candidate.units_per_s) : "-";
  return fmt::format("{:<44} {:>22} {:>9} {}/s  {}{}\n", candidate.plan.name, speedup_text(candidate), rate, report.unit, quality, outcome);
}

std::string summary(const Report& report, const std::string& out) {
  std::string text = fmt::format("{} ({}), judged on {}\n", report.goal, report.workload, report.data);
  text += candidate_line(report, report.base);
  for (const Candidate& candidate : report.candidates) text += candidate_line(report, candidate);
  if (report.changed()) {
    const Verification& verified = report.verifications.back();
    text += fmt::format("chosen: {}, {:.2f} times {} (95 % interval {:.2f} to {:.2f}), verified on {} held-out items\n",
                        report.choice().plan.name, verified.speedup.value, better_word(parse_goal(report.goal)), verified.speedup.low,
                        verified.speedup.high, verified.num_items);
    if (const std::string doubt = speed_doubt(verified); !doubt.empty()) text += fmt::format("note: {}\n", doubt);
  } else if (std::ranges::none_of(report.candidates, &Candidate::measured)) {
    text += "no candidate was measured in the time given; more of it (--max-time) is needed\n";
  } else {
    const auto unmeasured = std::ranges::count_if(report.candidates, [](const Candidate& candidate) { return !candidate.measured; });
    text += fmt::format("nothing else {}is {} and keeps within {}; the package holds the model as given\n",
                        unmeasured > 0 ? "that was measured " : "", better_word(parse_goal(report.goal)), report.budget);
    if (unmeasured > 0) text += fmt::format("note: {} candidates were not measured in the time given (--max-time)\n", unmeasured);
  }
  if (!report.base.passed) text += fmt::format("note: the model as given {}: {}\n", report.base_verdict(), report.base.reason);
  if (!report.written) return text + fmt::format("the package that was in {} is kept as it was\n", out);
  return text + fmt::format("package: {}\nreport:  {}/report.html\n", out, out);
}

Report search(const OptimizeOptions& options) {
  StepProgress progress(options.max_seconds);
  try {
    return optimize(options, [&](const std::string& step, double share) { progress(step, share); });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInterrupted) throw;
    const std::string journal = options.out.string() + ".partial";
    if (!std::filesystem::exists(journal)) fail(ErrorKind::kInterrupted, "optimize", "interrupted; there was nothing to keep yet");
    fail(ErrorKind::kInterrupted, "optimize", "interrupted; what was measured so far is kept in {}, the same command goes on from there",
         journal);
  }
}

void run_optimize(const OptimizeArgs& args) {
  OptimizeOptions options;
  options.model = resolve_model(args.model);
  options.out = args.out;
  options.goal = args.goal;
  options.budget = args.budget;
  options.seed = args.seed;
  options.max_seconds = args.max_time;
  options.num_threads = args.threads;
  options.isa = args.isa;
  options.compute = args.compute == "exact" ? Compute::kExact : Compute::kFast;
  if (!args.data.empty()) {
    options.texts = read_texts(args.data, args.text_column, /*whole=*/true);
    options.plain = !is_table(args.data);
  }
  const Report report = search(options);
  args.json ? print_json(report_json(report)) : print(summary(report, args.out));
  if (!report.changed() && report.base_misses) {
    fail(ErrorKind::kFailed, "budget", "nothing meets '{}', the model as given neither: {}", report.budget, report.base.reason);
  }
}

}  // namespace

void add_optimize(CLI::App& app) {
  auto args = std::make_shared<OptimizeArgs>();
  CLI::App* command = app.add_subcommand("optimize", "Find the fastest form of a model that keeps within an accuracy budget");
  command->add_option("MODEL", args->model, "Model directory, .gguf file, package or name in the local store")->required();
  command->add_option("--out", args->out, "Directory of the package")->required();
  command->add_option("--goal", args->goal, "latency, throughput or memory")
      ->check(CLI::IsMember({"latency", "throughput", "memory"}))
      ->capture_default_str();
  command
      ->add_option("--budget", args->budget,
                   "Conditions that must hold with 95 % confidence, joined by commas: kl<=N, top1>=N, ppl_ratio<=N for language "
                   "models (default: kl<=0.02,top1>=0.95), cosine>=N for encoders (default: cosine>=0.99)")
      ->check([](const std::string& text) { return text.empty() ? "got '', expected a condition, or no --budget" : ""; });
  CLI::Option* const data =
      command->add_option("--data", args->data, "Texts to judge by (default: written by the model itself, or built-in sentences)");
  command->add_option("--text-column", args->text_column, "Key or column of the text in --data")->needs(data);
  command
      ->add_option("--max-time", args->max_time,
                   "Seconds for the search: no candidate is begun that would not be verified by then. Reference, base, package and, where "
                   "anything passed, one verification are always done")
      ->check(number_range(1, 1e9))
      ->capture_default_str();
  add_seed_option(*command, args->seed, "Seed of sampled text and of resampling");
  command->add_option("--threads", args->threads, "Threads to use")->check(CLI::Range(1, 1024));
  command->add_option("--isa", args->isa, "Instruction set to use (default: the best)");
  command->add_option("--compute", args->compute, "Mode in which candidates run: fast, or exact (fp32 activations)")
      ->check(CLI::IsMember({"fast", "exact"}))
      ->capture_default_str();
  add_json_option(*command, args->json);
  command->footer("Example: citius optimize minilm --out minilm-fast --budget 'cosine>=0.995'");
  command->callback([args] { run_optimize(*args); });
}

}  // namespace citius::cli
