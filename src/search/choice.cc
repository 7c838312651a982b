#include "search/choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace citius {
namespace {

constexpr double kVerifyConfidence[] = {0.95, 0.975, 0.975};
constexpr int kMostRaces = 3;  // of a verification, where its speed disagrees with the one it was chosen by

bool eligible(const Candidate& candidate) { return candidate.measured && candidate.passed && candidate.speedup.low >= kLeastSpeedup; }

bool overlap(const Estimate& a, const Estimate& b) { return a.low <= b.high && b.low <= a.high; }

// A busy moment of the machine in one of the races may make a speed of it that nobody will see again.
void settle_speed(const Candidate& candidate, const Race& race, const std::function<bool()>& out_of_time, Verification& verification) {
  std::vector<Estimate> speeds{candidate.speedup, verification.speedup};
  while (!overlap(candidate.speedup, speeds.back()) && speeds.size() <= kMostRaces && !out_of_time())
    speeds.push_back(race(candidate.plan));
  verification.speedup = speeds.back();
  if (!overlap(candidate.speedup, speeds.back())) {
    const auto [least, most] = std::ranges::minmax_element(speeds, {}, &Estimate::value);
    verification.speedup = *least;
    verification.other_speedup = *most;
  }
  verification.units_per_s = candidate.units_per_s * verification.speedup.value / candidate.speedup.value;
}

Verification verify(const Candidate& candidate, const Budget& budget, Goal goal, double confidence, const Measure& measure,
                    const Race& race, const std::function<bool()>& out_of_time) {
  Verification verification = measure(candidate.plan, confidence);
  verification.candidate = candidate.plan.name;
  verification.confidence = confidence;
  if (!verification.reason.empty()) return verification;
  if (const std::optional<std::string> reason = violation(budget, verification.quality, confidence)) {
    verification.reason = *reason;
    return verification;
  }
  settle_speed(candidate, race, out_of_time, verification);
  if (verification.speedup.low <= 1) verification.reason = fmt::format("not surely {} when measured again", better_word(goal));
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

std::string speed_doubt(const Verification& verification) {
  if (!verification.other_speedup) return "";
  return fmt::format(
      "measurements of the speed disagree, {:.2f} times and {:.2f} times: the machine was busy in one of them. The lesser is given; "
      "a search when the machine is quiet would tell",
      verification.speedup.value, verification.other_speedup->value);
}

void choose_and_verify(Report& report, const Budget& budget, const Measure& measure, const Race& race,
                       const std::function<bool()>& out_of_time) {
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
    const Verification verification = verify(candidate, budget, goal, kVerifyConfidence[rank], measure, race, out_of_time);
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
