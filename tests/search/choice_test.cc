// Choosing and verifying with speeds and qualities that are given, whatever the clock says.
#include "search/choice.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace citius {
namespace {

const Budget kBudget = parse_budget("kl<=0.02", /*language_model=*/true);

Candidate measured(const std::string& name, Estimate speedup, Estimate kl) {
  Candidate candidate;
  candidate.plan.name = name;
  candidate.measured = true;
  candidate.speedup = speedup;
  candidate.quality = {{"kl_mean", kl}};
  judge(candidate, kBudget, Goal::kLatency);
  return candidate;
}

// Every candidate passes on the items to choose by but for the last two.
Report searched() {
  Report report;
  report.goal = "latency";
  report.base = measured("as given", {1, 1, 1}, {0.001, 0.0008, 0.0012});
  const Estimate fine{0.01, 0.005, 0.015};
  report.candidates = {measured("slow", {1.3, 1.2, 1.4}, fine),
                       measured("fast", {2.0, 1.9, 2.1}, fine),
                       measured("middle", {1.5, 1.4, 1.6}, fine),
                       measured("faster", {2.5, 2.4, 2.6}, fine),
                       measured("coarse", {3, 2.9, 3.1}, {0.1, 0.05, 0.15}),
                       measured("no gain", {1.02, 0.99, 1.05}, fine)};
  return report;
}

// What each gives on held-out items, and with which confidence it was asked for.
struct HeldOut {
  std::map<std::string, Estimate> kl, speedup;
  std::vector<Estimate> races;  // what further ones give, one after the other; the last again and again
  size_t raced = 0;
  std::vector<std::pair<std::string, double>> asked;

  Measure measure() {
    return [this](const FormatPlan& plan, double confidence) {
      asked.emplace_back(plan.name, confidence);
      Verification verification;
      verification.num_items = 16;
      verification.speedup = speedup.contains(plan.name) ? speedup.at(plan.name) : Estimate{2, 1.4, 2.6};
      verification.quality = {{"kl_mean", kl.contains(plan.name) ? kl.at(plan.name) : Estimate{0.01, 0.005, 0.015}}};
      return verification;
    };
  }
  Race race() {
    return [this](const FormatPlan& plan) {
      const size_t index = raced++;
      return races.empty() ? speedup.at(plan.name) : races.at(std::min(index, races.size() - 1));
    };
  }
};

bool in_time() { return false; }

TEST(Choice, TheFastestThatHoldsChangesTheModel) {
  Report report = searched();
  EXPECT_EQ(ranking(report.candidates), (std::vector<size_t>{3, 1, 2, 0}));
  HeldOut held_out;
  choose_and_verify(report, kBudget, held_out.measure(), held_out.race(), in_time);
  ASSERT_TRUE(report.changed());
  EXPECT_EQ(report.choice().plan.name, "faster");
  EXPECT_EQ(held_out.asked, (std::vector<std::pair<std::string, double>>{{"faster", 0.95}}));
  EXPECT_TRUE(report.verifications.at(0).passed);
  EXPECT_TRUE(report.choice().reason.empty());
  EXPECT_EQ(report.candidates[1].reason, "faster is faster and passes too");
  EXPECT_NE(report.candidates[4].reason.find("kl_mean is 0.1"), std::string::npos) << report.candidates[4].reason;
  EXPECT_NE(report.candidates[5].reason.find("not surely faster"), std::string::npos) << report.candidates[5].reason;
}

TEST(Choice, WhatFailsOnHeldOutItemsMakesWayForTheNextWhichMustBeSurer) {
  Report report = searched();
  HeldOut held_out;
  held_out.kl["faster"] = {0.015, 0.008, 0.022};
  held_out.speedup["fast"] = {1.1, 0.95, 1.2};
  choose_and_verify(report, kBudget, held_out.measure(), held_out.race(), in_time);
  EXPECT_EQ(held_out.asked, (std::vector<std::pair<std::string, double>>{{"faster", 0.95}, {"fast", 0.975}, {"middle", 0.975}}));
  ASSERT_TRUE(report.changed());
  EXPECT_EQ(report.choice().plan.name, "middle");
  ASSERT_EQ(report.verifications.size(), 3u);
  EXPECT_FALSE(report.verifications[0].passed);
  EXPECT_FALSE(report.candidates[3].passed);
  EXPECT_NE(report.candidates[3].reason.find("held-out items: kl_mean is 0.015, its 95 % bound 0.022"), std::string::npos)
      << report.candidates[3].reason;
  EXPECT_NE(report.candidates[1].reason.find("not surely faster when measured again"), std::string::npos) << report.candidates[1].reason;
  EXPECT_EQ(report.verifications[2].confidence, 0.975);
  EXPECT_EQ(report_json(report).at("verified").at("confidence").to_number<double>(), 0.975);
  EXPECT_EQ(report_json(report).at("verifications").as_array().size(), 3u);
}

TEST(Choice, ThreeFailuresLeaveTheModelAsGiven) {
  Report report = searched();
  HeldOut held_out;
  for (const char* name : {"faster", "fast", "middle"}) held_out.kl[name] = {0.03, 0.02, 0.04};
  choose_and_verify(report, kBudget, held_out.measure(), held_out.race(), in_time);
  EXPECT_FALSE(report.changed());
  EXPECT_EQ(held_out.asked.size(), 3u);
  EXPECT_EQ(report.candidates[0].reason, "not verified: 3 that are faster failed");
  EXPECT_TRUE(report_json(report).at("verified").is_null());
}

TEST(Choice, WithoutTimeOnlyTheFirstIsVerified) {
  Report report = searched();
  HeldOut held_out;
  held_out.kl["faster"] = {0.03, 0.02, 0.04};
  choose_and_verify(report, kBudget, held_out.measure(), held_out.race(), [] { return true; });
  EXPECT_FALSE(report.changed());
  EXPECT_EQ(held_out.asked.size(), 1u);
  EXPECT_NE(report.candidates[1].reason.find("time limit"), std::string::npos) << report.candidates[1].reason;
}

TEST(Choice, ASpeedThatDisagreesIsMeasuredAgain) {
  Report report = searched();
  HeldOut held_out;
  held_out.speedup["faster"] = {4.5, 4.2, 5.5};
  held_out.races = {{2.45, 2.3, 2.55}};
  choose_and_verify(report, kBudget, held_out.measure(), held_out.race(), in_time);
  EXPECT_EQ(held_out.raced, 1u);
  const Verification& verified = report.verifications.at(0);
  EXPECT_EQ(verified.speedup.value, 2.45);
  EXPECT_TRUE(speed_doubt(verified).empty());
  EXPECT_FALSE(report_json(report).at("verified").at("speed_disagrees").as_bool());
}

TEST(Choice, OfSpeedsThatGoOnDisagreeingTheLeastIsClaimed) {
  for (const bool late : {false, true}) {
    for (const Estimate& again : {Estimate{4.4, 4.1, 5}, Estimate{1.4, 1.3, 1.5}}) {
      Report report = searched();
      report.candidates[3].units_per_s = 250;
      report.budget = "kl<=0.02";
      report.language_model = true;
      HeldOut held_out;
      held_out.speedup["faster"] = again;
      choose_and_verify(report, kBudget, held_out.measure(), held_out.race(), [&] { return late; });
      EXPECT_EQ(held_out.raced, late ? 0u : 2u);
      ASSERT_TRUE(report.changed());
      const Verification& verified = report.verifications.at(0);
      EXPECT_EQ(verified.speedup.value, std::min(2.5, again.value));
      EXPECT_EQ(verified.other_speedup->value, std::max(2.5, again.value));
      EXPECT_DOUBLE_EQ(verified.units_per_s, 100 * verified.speedup.value);
      EXPECT_FALSE(speed_doubt(verified).empty());
      const json::value json = report_json(report).at("verified");
      EXPECT_TRUE(json.at("speed_disagrees").as_bool());
      EXPECT_EQ(json.at("speedup").to_number<double>(), verified.speedup.value);
      const std::string html = report_html(report);
      EXPECT_NE(html.find("measurements of the speed disagree"), std::string::npos);
      EXPECT_NE(html.find(fmt::format("is <b>{:.2f} times faster", verified.speedup.value)), std::string::npos) << html;
    }
  }
}

TEST(Choice, OutputsThatAreNoNumbersFail) {
  Report report = searched();
  choose_and_verify(
      report, kBudget,
      [](const FormatPlan&, double) {
        Verification verification;
        verification.reason = "logits are not finite numbers";
        return verification;
      },
      HeldOut().race(), in_time);
  EXPECT_FALSE(report.changed());
  EXPECT_NE(report.candidates[3].reason.find("not finite"), std::string::npos) << report.candidates[3].reason;
}

}  // namespace
}  // namespace citius
