// The report holds every candidate with its reason, loads nothing, and lets no name break out of its markup.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "search/optimize.h"
#include "search/svg_plot.h"

namespace citius {
namespace {

Report example() {
  Report report;
  report.model = "<b>evil</b> & \"co\"";
  report.budget = "kl<=0.02,top1>=0.95";
  report.goal = "latency";
  report.language_model = true;
  report.unit = "tokens";
  report.base.plan.name = "as given";
  report.base.measured = report.base.passed = true;
  report.base.speedup = {1, 1, 1};
  report.base.quality = {{"kl_mean", {0.001, 0.0008, 0.0012}}, {"top1_agreement", {0.99, 0.98, 0.995}}};
  Candidate good = report.base, bad = report.base, late;
  good.plan.name = "int8-g32";
  good.speedup = {1.8, 1.7, 1.9};
  good.median_ms = 3;
  good.round_bytes = 1e8;
  good.round_operations = 2e8;
  bad.plan.name = "int4-g32";
  bad.passed = false;
  bad.reason = "kl_mean is 0.2";
  bad.quality["kl_mean"] = {0.2, 0.1, 0.3};
  late.plan.name = "int4-g128";
  late.reason = "not measured: too little of the 60 s was left for it";
  report.candidates = {good, bad, late};
  report.chosen = 0;
  Verification verification;
  verification.passed = true;
  verification.candidate = "int8-g32";
  verification.speedup = {1.79, 1.7, 1.85};
  verification.quality = good.quality;
  verification.num_items = 16;
  report.verifications = {verification};
  report.machine = {{"cpu", "test"}, {"read_bytes_per_s", 5e10}, {"peak_operations_per_s", {{"int8", 1e12}, {"f32", 1e11}}}};
  return report;
}

TEST(Report, JsonHasTheKeysThatScriptsLeanOn) {
  const json::object report = report_json(example());
  for (const char* key : {"changed", "base", "chosen", "candidates", "verified", "machine", "versions"}) {
    EXPECT_TRUE(report.contains(key)) << key;
  }
  EXPECT_TRUE(report.at("changed").as_bool());
  EXPECT_EQ(report.at("candidates").as_array().size(), 3u);
  for (const json::value& candidate : report.at("candidates").as_array()) {
    for (const char* key : {"name", "speedup", "speedup_interval", "quality", "quality_interval", "passed", "reason"}) {
      EXPECT_TRUE(candidate.as_object().contains(key)) << key;
    }
  }
  EXPECT_EQ(report.at("verified").at("items").to_number<int>(), 16);
}

TEST(Report, NothingFasterMeansUnchanged) {
  Report report = example();
  report.chosen = -1;
  report.verifications.clear();
  const json::object object = report_json(report);
  EXPECT_FALSE(object.at("changed").as_bool());
  EXPECT_EQ(object.at("chosen").at("name").as_string(), "as given");
  EXPECT_TRUE(object.at("verified").is_null());
  EXPECT_NE(report_html(report).find("No other form"), std::string::npos);
}

TEST(Report, PageNamesEveryCandidateAndLoadsNothing) {
  const std::string html = report_html(example());
  for (const char* text : {"int8-g32", "int4-g32", "int4-g128", "kl_mean is 0.2", "too little of the 60 s", "<svg", "Roofline"}) {
    EXPECT_NE(html.find(text), std::string::npos) << text;
  }
  for (const char* text : {"http:", "https:", "src=", "href=", "@import", "url(", "<script", "<b>evil"}) {
    EXPECT_EQ(html.find(text), std::string::npos) << text;
  }
}

TEST(SvgPlot, LeavesOutWhatHasNoPlace) {
  Plot plot;
  plot.log_y = true;
  plot.points = {{1, 0, "given", "zero", 0, 0}, {1, NAN, "given", "nan", 0, 0}, {2, 0.5, "given", "fine", 0, 0}};
  const std::string svg = draw(plot);
  EXPECT_EQ(svg.find("zero"), std::string::npos);
  EXPECT_EQ(svg.find(">nan"), std::string::npos);
  EXPECT_NE(svg.find("fine"), std::string::npos);
}

TEST(SvgPlot, LabelsKeepApart) {
  Plot plot;
  for (int i = 0; i < 8; ++i) plot.points.push_back({1 + 0.01 * i, 0.5, "passed", fmt::format("label{}", i), 0, 0});
  plot.points.push_back({2, 5, "passed", "far", 0, 0});
  const std::string svg = draw(plot);
  std::set<std::string> places;
  for (int i = 0; i < 8; ++i) {
    const size_t end = svg.find(fmt::format(">label{}</text>", i));
    ASSERT_NE(end, std::string::npos);
    const size_t begin = svg.rfind("<text", end);
    places.insert(svg.substr(begin, svg.find("text-anchor", begin) - begin));
  }
  EXPECT_EQ(places.size(), 8u);
}

TEST(Report, SaysThatTheBaseItselfMissesTheBudget) {
  Report report = example();
  report.base.passed = false;
  report.base.reason = "kl_mean is 0.5";
  EXPECT_NE(report_html(report).find("may miss the budget itself, more items"), std::string::npos);
  report.base_misses = true;
  EXPECT_NE(report_html(report).find("misses the budget itself: kl_mean is 0.5"), std::string::npos);
}

}  // namespace
}  // namespace citius
