// report.html: the same facts for people, as one file with its drawings inside; it loads nothing. The colours are those of
// a palette that the colour-blind can tell apart (Okabe and Ito 2008), lightened for dark pages.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/progress.h"
#include "search/optimize.h"
#include "search/svg_plot.h"

namespace citius {
namespace {

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--page:#fff;--ink:#1c2024;--soft:#626a73;--rule:#dfe3e8;--card:#f5f7f9;--good:#007a5a;--good-card:#e3f4ed;--blue:#0072b2;--warm:#c44e00;--limit:#b0588f}
@media (prefers-color-scheme:dark){:root{--page:#14181c;--ink:#e6e9ec;--soft:#9aa4ae;--rule:#2c333a;--card:#1d2329;--good:#2fc796;--good-card:#14352b;--blue:#56b4e9;--warm:#f08a4b;--limit:#d98fbd}}
*{box-sizing:border-box}body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:66rem;padding:2rem 1rem 4rem;color:var(--ink);background:var(--page)}
h1{font-size:1.6rem;line-height:1.2;margin:0 0 .5rem;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2.5rem 0 .75rem}.verdict{font-size:1.05rem;margin:.5rem 0}
.soft{color:var(--soft)}.warn{border-left:3px solid var(--warm);padding:.3rem .8rem;background:var(--card)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1.25rem 0}
.card{background:var(--card);border-radius:8px;padding:.75rem 1rem}.card b{display:block;font-size:1.45rem;line-height:1.3;font-weight:600}.card.good b{color:var(--good)}.card span{color:var(--soft);font-size:13px}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}
th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid var(--rule);vertical-align:top}thead th{color:var(--soft);font-weight:500;white-space:nowrap}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.q{white-space:nowrap}td.name{min-width:9rem}td.why{min-width:15rem}.two span{display:block}tr.chosen{background:var(--good-card)}tr.chosen .name{font-weight:600}
table.facts th{font-weight:500;color:var(--soft);width:15rem}table.facts td{overflow-wrap:anywhere}
figure{margin:0}figcaption{color:var(--soft);font-size:13px;margin-top:.25rem}.key{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin:0 .3em 0 .8em}
svg{display:block;width:100%;min-width:34rem;max-width:60rem;height:auto;font:12px system-ui,sans-serif;fill:var(--ink)}
.grid{stroke:var(--rule)}.tick{fill:var(--soft)}.roof{stroke:var(--blue);stroke-width:1.5}.roof-text{fill:var(--blue)}.front{fill:none;stroke:var(--soft);stroke-dasharray:2 3}
.limit{stroke:var(--limit);stroke-dasharray:6 4}.limit-text{fill:var(--limit)}.beyond{fill:var(--limit);fill-opacity:.07}.range{stroke-opacity:.55;stroke-width:2}
.chosen{stroke:var(--good)}circle.chosen,.key.chosen{fill:var(--good);background:var(--good)}.given{stroke:var(--ink)}circle.given,.key.given{fill:var(--ink);background:var(--ink)}
.passed{stroke:var(--blue)}circle.passed,.key.passed{fill:var(--blue);background:var(--blue)}.rejected{stroke:var(--warm)}circle.rejected,.key.rejected{fill:var(--page);stroke-width:2}.key.rejected{border:2px solid var(--warm)}
circle.chosen{r:7px}
)";

std::string interval_text(const Estimate& estimate, int digits) {
  return fmt::format("{:.{}f} <span class=soft>{:.{}f} to {:.{}f}</span>", estimate.value, digits, estimate.low, digits, estimate.high,
                     digits);
}

std::string quality_text(const Quality& quality) {
  std::string html;
  for (const auto& [name, estimate] : quality) html += fmt::format("{} {}<br>", escape_html(name), interval_text(estimate, 4));
  return html;
}

// A fact in words, its unit told from its key.
std::string fact_text(std::string_view key, const json::value& value) {
  if (value.is_string()) return escape_html(std::string(value.get_string()));
  if (value.is_number() && key.ends_with("bytes_per_s")) return fmt::format("{:.1f} GB/s", value.to_number<double>() / 1e9);
  if (value.is_number() && key.ends_with("bytes")) return format_bytes(value.to_number<double>());
  std::string text;
  if (key == "peak_operations_per_s" && value.is_object()) {
    for (const auto& peak : value.get_object()) {
      if (peak.value().is_number())
        text +=
            fmt::format("{}{} {:.0f} G/s", text.empty() ? "" : ", ", std::string_view(peak.key()), peak.value().to_number<double>() / 1e9);
    }
    return text;
  }
  if (!value.is_array()) return escape_html(json::serialize(value));
  for (const json::value& item : value.get_array()) {
    text += text.empty() ? "" : ", ";
    if (!item.is_object()) {
      text += fact_text("", item);
      continue;
    }
    std::string parts;
    for (const auto& part : item.get_object())
      parts += fmt::format("{}{} {}", parts.empty() ? "" : " ", std::string_view(part.key()), fact_text(part.key(), part.value()));
    text += parts;
  }
  return text.empty() ? "none" : text;
}

std::string facts_table(const json::object& facts) {
  std::string html = "<div class=wide><table class=facts>";
  for (const auto& item : facts) {
    if (item.value().is_null()) continue;
    std::string key(item.key());
    std::replace(key.begin(), key.end(), '_', ' ');
    for (const char* unit : {" bytes per s", " operations per s", " bytes"}) {
      if (key.ends_with(unit)) key.resize(key.size() - std::string_view(unit).size());
    }
    html += fmt::format("<tr><th>{}</th><td>{}</td></tr>", escape_html(key), fact_text(item.key(), item.value()));
  }
  return html + "</table></div>";
}

// What a point's height is: a loss that is better when smaller, on a logarithmic scale.
double loss_of(const Report& report, const Quality& quality) {
  constexpr double kLeast = 1e-7;  // identical outputs still have a place in the plot
  const auto found = quality.find(report.language_model ? "kl_mean" : "cosine_mean");
  if (found == quality.end()) return NAN;
  return std::max(kLeast, report.language_model ? found->second.value : 1 - found->second.value);
}

double budget_line(const Report& report) {
  for (const Condition& condition : parse_budget(report.budget, report.language_model)) {
    if (condition.metric == "kl_mean") return condition.bound;
    if (condition.metric == "cosine_mean") return 1 - condition.bound;
  }
  return NAN;
}

const char* kind_of(const Report& report, const Candidate& candidate) {
  if (&candidate == &report.choice()) return "chosen";
  if (&candidate == &report.base) return "given";
  return candidate.passed ? "passed" : "rejected";
}

// The base and every candidate, with the number by which plots and table call it (the base is 0).
template <typename F>
void for_each_candidate(const Report& report, const F& visit) {
  visit(report.base, size_t{0});
  for (size_t i = 0; i < report.candidates.size(); ++i) visit(report.candidates[i], i + 1);
}

// Points have numbers, for names may be long; the two that matter most have theirs.
std::string label_of(const Report& report, const Candidate& candidate, size_t number) {
  const bool named = number == 0 || &candidate == &report.choice();
  return named && candidate.plan.name.size() < 24 ? candidate.plan.name : std::to_string(number);
}

// The measured candidates that no other beats in speed and quality at once, from left to right.
std::vector<std::pair<double, double>> pareto_front(const std::vector<PlotPoint>& points) {
  std::vector<std::pair<double, double>> front;
  for (const PlotPoint& point : points) {
    const bool beaten = std::any_of(points.begin(), points.end(), [&](const PlotPoint& other) {
      return other.x >= point.x && other.y <= point.y && (other.x > point.x || other.y < point.y);
    });
    if (!beaten) front.emplace_back(point.x, point.y);
  }
  std::sort(front.begin(), front.end());
  return front;
}

std::string key_text(const char* kind, const char* words) { return fmt::format("<i class=\"key {}\"></i>{}", kind, words); }

std::string pareto_section(const Report& report) {
  Plot plot;
  plot.x_label = fmt::format("times {} than the model as given", better_word(parse_goal(report.goal)));
  plot.y_label = report.language_model ? "KL to the exact model, nats" : "1 - cosine to the exact model";
  plot.log_y = true;
  plot.y_limit = budget_line(report);
  plot.y_limit_label = "budget";
  for_each_candidate(report, [&](const Candidate& candidate, size_t number) {
    const double loss = loss_of(report, candidate.quality);
    if (!candidate.measured || !std::isfinite(loss)) return;
    plot.points.push_back({candidate.speedup.value, loss, kind_of(report, candidate), label_of(report, candidate, number),
                           candidate.speedup.low, candidate.speedup.high, candidate.plan.name});
  });
  plot.front = pareto_front(plot.points);
  return fmt::format(
      "<h2>Speed against quality</h2><figure><div class=wide>{}</div><figcaption>Down and to the right is better. Bars "
      "are 95 % intervals, the dotted line is the Pareto front, numbers are those of the table.{}{}{}{}</figcaption></figure>",
      draw(plot), key_text("chosen", "chosen"), key_text("given", "as given, with its fastest kernels"),
      key_text("passed", "keeps the budget"), key_text("rejected", "misses the budget"));
}

std::string roofline_section(const Report& report) {
  const json::value* bandwidth = report.machine.if_contains("read_bytes_per_s");
  const json::value* peaks = report.machine.if_contains("peak_operations_per_s");
  if (bandwidth == nullptr || !bandwidth->is_number() || peaks == nullptr || !peaks->is_object()) return "";
  Plot plot;
  plot.x_label = "operations for a byte read";
  plot.y_label = "G operations a second";
  plot.log_x = plot.log_y = true;
  plot.slope = bandwidth->to_number<double>() / 1e9;
  for (const auto& item : peaks->as_object()) {
    if (item.value().is_number()) plot.roofs.emplace_back(item.value().to_number<double>() / 1e9, std::string(item.key()));
  }
  for_each_candidate(report, [&](const Candidate& candidate, size_t number) {
    if (!candidate.measured || candidate.round_bytes <= 0 || candidate.median_ms <= 0) return;
    plot.points.push_back({candidate.round_operations / candidate.round_bytes, candidate.round_operations / candidate.median_ms / 1e6,
                           kind_of(report, candidate), label_of(report, candidate, number), 0, 0, candidate.plan.name});
  });
  return fmt::format(
      "<h2>Roofline</h2><figure><div class=wide>{}</div><figcaption>Lines: what this machine was measured to read and to "
      "compute with {} threads at most. Points: what the workload reached, from the bytes and operations that it needs "
      "whatever the kernels.</figcaption></figure>",
      draw(plot), report.machine.contains("threads") ? json::serialize(report.machine.at("threads")) : std::string("its"));
}

std::string share_text(double share) { return share > 0 ? fmt::format("{:.0f} %", 100 * share) : "-"; }

std::string candidate_row(const Report& report, const Candidate& candidate, size_t number) {
  const bool chosen = &candidate == &report.choice();
  const auto measured = [&](const std::string& text) { return candidate.measured ? text : std::string(); };
  const std::string outcome = !chosen                    ? escape_html(candidate.reason)
                              : candidate.reason.empty() ? "chosen"
                                                         : "chosen; " + escape_html(candidate.reason);
  return fmt::format(
      "<tr{}><td class=n>{}</td><td class=name>{}</td><td class=\"n two\">{}</td><td class=\"n two\">{}</td><td class=n>{}</td><td "
      "class=n>{}</td>"
      "<td class=q>{}</td><td class=why>{}</td></tr>",
      chosen ? " class=chosen" : "", number, escape_html(candidate.plan.name), measured(interval_text(candidate.speedup, 2)),
      measured(fmt::format("{:.1f} <span class=soft>{:.2f} ms</span>", candidate.units_per_s, candidate.p50_ms)),
      measured(fmt::format("{:.1f}", candidate.weight_bytes / 1e6)),
      measured(fmt::format("{} / {}", share_text(candidate.share_of_bandwidth), share_text(candidate.share_of_peak))),
      quality_text(candidate.quality), outcome);
}

std::string candidates_section(const Report& report) {
  std::string html = fmt::format(
      "<h2>Candidates</h2><p class=soft>Each was timed in turns with the model as given. Rates are that model's first rate times the "
      "speedup, so that a busy moment of the machine does not count.</p><div class=wide><table><thead><tr><th "
      "class=n>#</th><th>formats</th><th class=n>times {}</th>"
      "<th class=n>{}/s, p50</th><th class=n>weights, MB</th><th class=n>of bandwidth / peak</th>"
      "<th>quality</th><th>outcome</th></tr></thead>",
      better_word(parse_goal(report.goal)), report.unit);
  for_each_candidate(report, [&](const Candidate& candidate, size_t number) { html += candidate_row(report, candidate, number); });
  return html + "</table></div>";
}

std::string verdict(const Report& report) {
  if (!report.changed()) {
    return fmt::format(
        "No other form of this model was found to be {} and to keep within <b>{}</b>. The package holds it as given, in its "
        "fastest packed form.",
        better_word(parse_goal(report.goal)), escape_html(report.budget));
  }
  const Verification& verified = report.verifications.back();
  return fmt::format("<b>{}</b> is <b>{:.2f} times {}</b> and keeps within <b>{}</b>, verified on {} held-out items.",
                     escape_html(report.choice().plan.name), verified.speedup.value, better_word(parse_goal(report.goal)),
                     escape_html(report.budget), verified.num_items);
}

std::string card(const std::string& value, const std::string& words, bool good) {
  return fmt::format("<div class=\"card{}\"><b>{}</b><span>{}</span></div>", good ? " good" : "", value, words);
}

std::string cards(const Report& report) {
  const Candidate& choice = report.choice();
  std::string html = "<div class=cards>";
  if (report.changed()) {
    const Verification& verified = report.verifications.back();
    const std::string compared = verified.other_speedup ? fmt::format("{:.2f}x by another measurement", verified.other_speedup->value)
                                                        : fmt::format("measured again, {:.2f}x when it was chosen", choice.speedup.value);
    html += card(fmt::format("{:.2f}x", verified.speedup.value),
                 fmt::format("{}; 95 % interval {:.2f} to {:.2f}; {}", better_word(parse_goal(report.goal)), verified.speedup.low,
                             verified.speedup.high, compared),
                 true);
  }
  const double rate = report.changed() ? report.verifications.back().units_per_s : choice.units_per_s;
  html += card(fmt::format("{:.1f} {}/s", rate, report.unit), fmt::format("as given {:.1f}", report.base.units_per_s), false);
  html += card(fmt::format("{:.1f} MB", choice.weight_bytes / 1e6),
               fmt::format("of weights; as given {:.1f}", report.base.weight_bytes / 1e6), false);
  const Quality& quality = report.changed() ? report.verifications.back().quality : choice.quality;
  const double confidence = report.changed() ? report.verifications.back().confidence : kConfidence;
  for (const auto& [name, estimate] : quality) {
    if (name == "perplexity_ratio") continue;
    html +=
        card(fmt::format("{:.4f}", estimate.value),
             fmt::format("{}; {:g} % interval {:.4f} to {:.4f}", escape_html(name), 100 * confidence, estimate.low, estimate.high), false);
  }
  return html + "</div>";
}

std::string verification_section(const Report& report) {
  if (report.verifications.empty()) return "";
  std::string html = fmt::format(
      "<h2>Verified on held-out items</h2><p class=soft>No item here was used to choose the first candidate. It has rejected those "
      "above any other, whose intervals are wider for that: the chance that what misses the budget is chosen stays at 5 % in "
      "all.</p><div class=wide><table><thead><tr><th>candidate</th><th class=n>items</th>"
      "<th class=n>times {}</th><th class=n>confidence of quality</th><th>quality</th><th>outcome</th></tr></thead>",
      better_word(parse_goal(report.goal)));
  for (const Verification& verification : report.verifications) {
    html += fmt::format(
        "<tr><td class=name>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{:g} %</td><td class=q>{}</td><td "
        "class=why>{}</td></tr>",
        escape_html(verification.candidate), verification.num_items, interval_text(verification.speedup, 2), 100 * verification.confidence,
        quality_text(verification.quality), verification.passed ? "passed" : escape_html(verification.reason));
  }
  return html + "</table></div>";
}

std::string sensitivity_section(const Report& report) {
  if (report.sensitivity.empty()) return "";
  std::string html =
      "<h2>Sensitivity of the layers</h2><p class=soft>Harm of the coarsest format in one layer (or group of neighbours) alone, worst "
      "first: ";
  for (const auto& [layer, harm] : report.sensitivity) html += fmt::format("{}&nbsp;({:.2g}) ", layer, harm);
  return html + "</p>";
}

}  // namespace

std::string report_html(const Report& report) {
  std::string html = fmt::format(
      "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\">"
      "<title>citius: {0}</title><style>{1}</style><h1>{0}</h1><p class=verdict>{2}</p>",
      escape_html(report.model), kStyle, verdict(report));
  if (!report.base.passed) {
    html += fmt::format("<p class=warn>The model as given {}: {}.</p>", report.base_verdict(), escape_html(report.base.reason));
  }
  if (const std::string doubt = report.changed() ? speed_doubt(report.verifications.back()) : ""; !doubt.empty()) {
    html += fmt::format("<p class=warn>Note: {}.</p>", doubt);
  }
  html += cards(report);
  html += fmt::format(
      "<p class=soft>Goal {}: {}. Compute mode {}. Judged on {}; {} of them to choose by. Architecture {}, seed {}, {:.0f} s.</p>",
      escape_html(report.goal), escape_html(report.workload), compute_name(report.compute), escape_html(report.data), report.num_choose,
      escape_html(report.architecture), report.seed, report.seconds);
  html += pareto_section(report) + candidates_section(report) + verification_section(report) + sensitivity_section(report) +
          roofline_section(report);
  html += "<h2>Machine</h2>" + facts_table(report.machine) + "<h2>Versions</h2>" + facts_table(report.versions) + "</html>\n";
  return html;
}

}  // namespace citius
