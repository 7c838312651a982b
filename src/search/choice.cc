#include "search/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace citius {
namespace {

constexpr double kVerifyConfidence[] = {0.95, 0.975, 0.975};

bool eligible(const Candidate& candidate) { return candidate.measured && candidate.passed && candidate.speedup.low >= kLeastSpeedup; }

Verification verify(const FormatPlan& plan, const Budget& budget, Goal goal, double confidence, const Measure& measure) {
  Verification verification = measure(plan, confidence);
  verification.candidate = plan.name;
  verification.confidence = confidence;
  if (!verification.reason.empty()) return verification;
  if (const std::optional<std::string> reason = violation(budget, verification.quality, confidence)) {
    verification.reason = *reason;
  } else if (verification.speedup.low <= 1) {
    verification.reason = fmt::format("not surely {} when measured again", better_word(goal));
  }
  verification.passed = verification.reason.empty();
  return verification;
}

}  // namespace

void judge(Candidate& candidate, const Budget& budget, Goal goal) {
  const std::optional<std::string> reason = violation(budget, candidate.quality);
  candidate.passed = !reason;
  candidate.reason = reason.value_or("");
  if (candidate.speedup.low >= kLeastSpeedup) return;
  candidate.reason = fmt::format("not surely {} than the model as given: {:.2f}x, 95 % bound {:.2f}x{}{}", better_word(goal),
                                 candidate.speedup.value, candidate.speedup.low, reason ? "; " : "", candidate.reason);
}

std::vector<size_t> ranking(const std::vector<Candidate>& candidates) {
  std::vector<size_t> order;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (eligible(candidates[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return candidates[a].speedup.value > candidates[b].speedup.value; });
  return order;
}

void choose_and_verify(Report& report, const Budget& budget, const Measure& measure, const std::function<bool()>& out_of_time) {
  const Goal goal = parse_goal(report.goal);
  const std::vector<size_t> order = ranking(report.candidates);
  bool late = false;
  for (size_t rank = 0; rank < std::min(order.size(), std::size(kVerifyConfidence)) && !report.changed(); ++rank) {
    Candidate& candidate = report.candidates[order[rank]];
    late = late || (rank > 0 && out_of_time());
    if (late) {
      candidate.reason = "not verified: the time limit was reached";
      continue;
    }
    const Verification verification = verify(candidate.plan, budget, goal, kVerifyConfidence[rank], measure);
    report.verifications.push_back(verification);
    if (verification.passed) {
      report.chosen = static_cast<int>(order[rank]);
    } else {
      candidate.reason = "on held-out items: " + verification.reason;
      candidate.passed = false;
    }
  }
  for (size_t i = 0; i < report.candidates.size(); ++i) {
    Candidate& candidate = report.candidates[i];
    if (static_cast<int>(i) == report.chosen || !candidate.reason.empty()) continue;
    candidate.reason = report.changed()
                           ? fmt::format("{} is {} and passes too", report.choice().plan.name, better_word(goal))
                           : fmt::format("not verified: {} that are {} failed", report.verifications.size(), better_word(goal));
  }
}

}  // namespace citius
