#include "search/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace citius {
namespace {

constexpr double kWidth = 760, kHeight = 420, kLeft = 80, kRight = 150, kTop = 20, kBottom = 50;

// One axis: data range to pixels.
struct Axis {
  bool log = false;
  double low = 0, high = 1;
  double from = 0, to = 1;

  double map(double value) const { return log ? std::log10(value) : value; }
  double pixel(double value) const { return from + (map(value) - low) / (high - low) * (to - from); }
  bool holds(double value) const { return std::isfinite(value) && (!log || value > 0); }
};

Axis make_axis(std::vector<double> values, bool log, double from, double to) {
  Axis axis{log, 0, 1, from, to};
  std::erase_if(values, [&](double value) { return !axis.holds(value); });
  if (values.empty()) values = {1};
  axis.low = axis.map(*std::min_element(values.begin(), values.end()));
  axis.high = axis.map(*std::max_element(values.begin(), values.end()));
  const double margin = axis.high > axis.low ? 0.08 * (axis.high - axis.low) : 0.5;
  axis.low -= margin;
  axis.high += margin;
  return axis;
}

std::vector<double> ticks(const Axis& axis) {
  std::vector<double> values;
  const double span = axis.high - axis.low;
  double step = axis.log ? std::max(1.0, std::ceil(span / 6)) : std::pow(10, std::floor(std::log10(span / 4)));
  if (!axis.log && span / step > 10) step *= span / step > 20 ? 5 : 2;
  for (double at = std::ceil(axis.low / step) * step; at <= axis.high; at += step) values.push_back(axis.log ? std::pow(10, at) : at);
  return values;
}

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>", x1, y1, x2, y2, style);
}

std::string words(double x, double y, const std::string& text, const char* style) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>", x, y, style, escape_html(text));
}

std::string frame(const Plot& plot, const Axis& x, const Axis& y) {
  std::string svg;
  for (double tick : ticks(x)) {
    svg += line(x.pixel(tick), kTop, x.pixel(tick), kHeight - kBottom, "stroke=\"#eee\"");
    svg += words(x.pixel(tick), kHeight - kBottom + 18, fmt::format("{:.4g}", tick), "text-anchor=\"middle\" fill=\"#666\"");
  }
  for (double tick : ticks(y)) {
    svg += line(kLeft, y.pixel(tick), kWidth - kRight, y.pixel(tick), "stroke=\"#eee\"");
    svg += words(kLeft - 8, y.pixel(tick) + 4, fmt::format("{:.3g}", tick), "text-anchor=\"end\" fill=\"#666\"");
  }
  svg += words((kLeft + kWidth - kRight) / 2, kHeight - 10, plot.x_label, "text-anchor=\"middle\" fill=\"#222\"");
  svg += fmt::format("<text transform=\"translate(16 {:.1f}) rotate(-90)\" text-anchor=\"middle\" fill=\"#222\">{}</text>",
                     (kTop + kHeight - kBottom) / 2, escape_html(plot.y_label));
  return svg;
}

std::string roofs(const Plot& plot, const Axis& x, const Axis& y) {
  std::string svg;
  const auto value_of = [](const Axis& axis, double at) { return axis.log ? std::pow(10, at) : at; };
  const double left = value_of(x, x.low), right = value_of(x, x.high), bottom = value_of(y, y.low);
  double highest = 0;
  for (const auto& [height, name] : plot.roofs) {
    highest = std::max(highest, height);
    const double knee = std::clamp(height / plot.slope, left, right);
    svg += line(x.pixel(knee), y.pixel(height), x.pixel(right), y.pixel(height), "stroke=\"#56b4e9\" stroke-width=\"1.5\"");
    svg += words(x.pixel(right) + 4, y.pixel(height) + 4, name, "fill=\"#56b4e9\"");
  }
  const double begin = std::max(left, bottom / plot.slope), end = std::min(right, highest / plot.slope);
  if (begin < end) {
    svg += line(x.pixel(begin), y.pixel(begin * plot.slope), x.pixel(end), y.pixel(end * plot.slope),
                "stroke=\"#56b4e9\" stroke-width=\"1.5\"");
  }
  return svg;
}

}  // namespace

std::string escape_html(const std::string& text) {
  std::string escaped;
  for (char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&quot;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

std::string draw(const Plot& plot) {
  std::vector<double> xs, ys = {plot.y_line};
  for (const PlotPoint& point : plot.points) {
    xs.push_back(point.x);
    ys.push_back(point.y);
    if (point.x_high > point.x_low) {
      xs.push_back(point.x_low);
      xs.push_back(point.x_high);
    }
  }
  for (const auto& [height, name] : plot.roofs) {
    ys.push_back(height);
    if (plot.slope > 0) xs.push_back(2 * height / plot.slope);
  }
  const Axis x = make_axis(xs, plot.log_x, kLeft, kWidth - kRight), y = make_axis(ys, plot.log_y, kHeight - kBottom, kTop);
  std::string svg = fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" width=\"{:.0f}\" role=\"img\" font-size=\"12\" "
                                "font-family=\"system-ui,sans-serif\">", kWidth, kHeight, kWidth);
  svg += frame(plot, x, y);
  if (plot.slope > 0 && !plot.roofs.empty()) svg += roofs(plot, x, y);
  if (y.holds(plot.y_line)) {
    svg += line(kLeft, y.pixel(plot.y_line), kWidth - kRight, y.pixel(plot.y_line), "stroke=\"#cc79a7\" stroke-dasharray=\"6 4\"");
    svg += words(kWidth - kRight + 6, y.pixel(plot.y_line) + 4, plot.y_line_label, "fill=\"#cc79a7\"");
  }
  for (const PlotPoint& point : plot.points) {
    if (!x.holds(point.x) || !y.holds(point.y)) continue;
    const double px = x.pixel(point.x), py = y.pixel(point.y);
    if (point.x_high > point.x_low && x.holds(point.x_low) && x.holds(point.x_high)) {
      svg += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>", x.pixel(point.x_low), py,
                         x.pixel(point.x_high), py, point.color);
    }
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" fill=\"{}\"><title>{}: {:.4g}, {:.4g}</title></circle>", px, py,
                       point.color, escape_html(point.label), point.x, point.y);
    svg += words(px + 8, py - 6, point.label, "fill=\"#222\"");
  }
  return svg + "</svg>";
}

}  // namespace citius
