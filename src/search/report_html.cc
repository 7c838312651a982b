// report.html: the same facts for people, as one file with its drawings inside; it loads nothing. The colours are those of
// a palette that the colour-blind can tell apart (Okabe and Ito 2008).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "search/optimize.h"
#include "search/svg_plot.h"

namespace citius {
namespace {

constexpr const char* kStyle = R"(
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#222;background:#fff}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;padding:.3rem .5rem;border-bottom:1px solid #ddd;vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}tr.chosen{background:#e6f4ef;font-weight:600}
.muted{color:#666}figure{margin:1rem 0}figcaption{color:#666;font-size:13px}svg{max-width:100%;height:auto}
)";

std::string interval_text(const Estimate& estimate, int digits) {
  return fmt::format("{:.{}f} <span class=muted>[{:.{}f}, {:.{}f}]</span>", estimate.value, digits, estimate.low, digits,
                     estimate.high, digits);
}

std::string facts_table(const json::object& facts) {
  std::string html = "<table>";
  for (const auto& item : facts) {
    const std::string value = item.value().is_string() ? std::string(item.value().as_string()) : json::serialize(item.value());
    html += fmt::format("<tr><th>{}</th><td>{}</td></tr>", escape_html(std::string(item.key())), escape_html(value));
  }
  return html + "</table>";
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

const char* color_of(const Report& report, const Candidate& candidate) {
  if (&candidate == &report.choice()) return "#009e73";
  if (&candidate == &report.base) return "#000000";
  return candidate.passed ? "#0072b2" : "#d55e00";
}

std::string pareto_plot(const Report& report) {
  Plot plot;
  plot.x_label = report.goal == "memory" ? "times smaller than the model as given" : "times faster than the model as given";
  plot.y_label = report.language_model ? "KL to the exact model (nats)" : "1 - cosine to the exact model";
  plot.log_y = true;
  plot.y_line = budget_line(report);
  plot.y_line_label = "budget";
  const auto add = [&](const Candidate& candidate) {
    const double loss = loss_of(report, candidate.quality);
    if (!candidate.measured || !std::isfinite(loss)) return;
    plot.points.push_back({candidate.speedup.value, loss, color_of(report, candidate), candidate.plan.name,
                           candidate.speedup.low, candidate.speedup.high});
  };
  add(report.base);
  for (const Candidate& candidate : report.candidates) add(candidate);
  return draw(plot);
}

std::string roofline_plot(const Report& report) {
  const json::value* bandwidth = report.machine.if_contains("read_bytes_per_s");
  const json::value* peaks = report.machine.if_contains("peak_operations_per_s");
  if (bandwidth == nullptr || !bandwidth->is_number() || peaks == nullptr || !peaks->is_object()) return "";
  Plot plot;
  plot.x_label = "operations a byte read";
  plot.y_label = "operations a second";
  plot.log_x = plot.log_y = true;
  plot.slope = bandwidth->to_number<double>();
  for (const auto& item : peaks->as_object()) {
    if (item.value().is_number()) plot.roofs.emplace_back(item.value().to_number<double>(), std::string(item.key()));
  }
  const auto add = [&](const Candidate& candidate) {
    if (!candidate.measured || candidate.round_bytes <= 0 || candidate.median_ms <= 0) return;
    plot.points.push_back({candidate.round_operations / candidate.round_bytes, candidate.round_operations / candidate.median_ms * 1e3,
                           color_of(report, candidate), candidate.plan.name, 0, 0});
  };
  add(report.base);
  for (const Candidate& candidate : report.candidates) add(candidate);
  return fmt::format("<h2>Roofline</h2><figure>{}<figcaption>What the weights' formats let a kernel do at most on this machine, "
                     "and what was reached.</figcaption></figure>", draw(plot));
}

std::string candidate_row(const Report& report, const Candidate& candidate) {
  std::string quality;
  for (const auto& [name, estimate] : candidate.quality) {
    quality += fmt::format("{} {}<br>", escape_html(name), interval_text(estimate, 4));
  }
  const bool chosen = &candidate == &report.choice();
  const std::string share = candidate.share_of_bandwidth > 0 || candidate.share_of_peak > 0
                                ? fmt::format("{:.0f} % / {:.0f} %", 100 * candidate.share_of_bandwidth, 100 * candidate.share_of_peak)
                                : "";
  return fmt::format(
      "<tr{}><td>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td><td class=n>{}</td><td>{}</td><td>{}</td></tr>",
      chosen ? " class=chosen" : "", escape_html(candidate.plan.name),
      candidate.measured ? interval_text(candidate.speedup, 2) : "", candidate.measured ? fmt::format("{:.1f}", candidate.units_per_s) : "",
      candidate.measured ? fmt::format("{:.1f}", candidate.weight_bytes / 1e6) : "", share, quality,
      chosen ? "chosen" : escape_html(candidate.reason));
}

std::string verdict(const Report& report) {
  if (!report.changed()) {
    return fmt::format("No other form of this model is faster and keeps within <b>{}</b>. The package holds it as given, in its "
                       "fastest packed form.", escape_html(report.budget));
  }
  const Verification& verified = report.verifications.back();
  return fmt::format("<b>{}</b> is <b>{:.2f} times {}</b> ({:.2f} to {:.2f}) and keeps within <b>{}</b>, verified on {} items that "
                     "were not used to choose.", escape_html(report.choice().plan.name), verified.speedup.value,
                     report.goal == "memory" ? "smaller" : "faster", verified.speedup.low, verified.speedup.high,
                     escape_html(report.budget), verified.num_items);
}

std::string verification_section(const Report& report) {
  if (report.verifications.empty()) return "";
  std::string html = "<h2>Verified on held-out items</h2><table><tr><th>candidate</th><th class=n>speed</th><th>quality</th><th></th></tr>";
  for (const Verification& verification : report.verifications) {
    std::string quality;
    for (const auto& [name, estimate] : verification.quality) {
      quality += fmt::format("{} {}<br>", escape_html(name), interval_text(estimate, 4));
    }
    html += fmt::format("<tr><td>{}</td><td class=n>{}</td><td>{}</td><td>{}</td></tr>", escape_html(verification.candidate),
                        interval_text(verification.speedup, 2), quality,
                        verification.passed ? "passed" : escape_html(verification.reason));
  }
  return html + "</table>";
}

}  // namespace

std::string report_html(const Report& report) {
  std::string html = fmt::format(
      "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>citius: {0}</title>"
      "<style>{1}</style><h1>{0}</h1><p>{2}</p>", escape_html(report.model), kStyle, verdict(report));
  html += fmt::format("<p class=muted>Goal {}: {}. Judged on {}. {} architecture, seed {}, {:.0f} s.</p>", escape_html(report.goal),
                      escape_html(report.workload), escape_html(report.data), escape_html(report.architecture), report.seed,
                      report.seconds);
  html += fmt::format("<h2>Speed against quality</h2><figure>{}<figcaption>Down and to the right is better. Green: chosen; blue: "
                      "passed; orange: rejected; black: the model as given, with its fast kernels. Bars are 95 % intervals."
                      "</figcaption></figure>", pareto_plot(report));
  html += fmt::format("<h2>Candidates</h2><table><tr><th>candidate</th><th class=n>times {}</th><th class=n>{}/s</th>"
                      "<th class=n>weights, MB</th><th class=n>of bandwidth / peak</th><th>quality</th><th>outcome</th></tr>",
                      report.goal == "memory" ? "smaller" : "faster", report.unit);
  html += candidate_row(report, report.base);
  for (const Candidate& candidate : report.candidates) html += candidate_row(report, candidate);
  html += "</table>" + verification_section(report) + roofline_plot(report);
  html += "<h2>Machine</h2>" + facts_table(report.machine) + "<h2>Versions</h2>" + facts_table(report.versions) + "</html>\n";
  return html;
}

}  // namespace citius
