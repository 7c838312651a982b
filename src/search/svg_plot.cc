#include "search/svg_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace citius {
namespace {

constexpr double kWidth = 760, kHeight = 400, kLeft = 72, kRight = 64, kTop = 16, kBottom = 52;
constexpr double kLetter = 6.4, kLine = 13;  // of 12 pixel text, for keeping labels apart

struct Box {
  double left, top, right, bottom;
  bool overlaps(const Box& other) const { return left < other.right && other.left < right && top < other.bottom && other.top < bottom; }
};

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

// Of 1, 2 and 5 times powers of ten; on a logarithmic axis of many decades only powers of ten.
std::vector<double> ticks(const Axis& axis) {
  std::vector<double> values;
  const double span = axis.high - axis.low;
  if (!axis.log) {
    double step = std::pow(10, std::floor(std::log10(span / 4)));
    if (span / step > 8) step *= span / step > 20 ? 5 : 2;
    for (double at = std::ceil(axis.low / step); at * step <= axis.high; ++at) values.push_back(at * step);
    return values;
  }
  const double decades = std::max(1.0, std::ceil(span / 7));
  for (double power = std::floor(axis.low / decades) * decades; power <= axis.high; power += decades) {
    for (double digit : {1.0, 2.0, 5.0}) {
      if (digit > 1 && span > 2.5) continue;
      const double value = digit * std::pow(10, power);
      if (axis.map(value) >= axis.low && axis.map(value) <= axis.high) values.push_back(value);
    }
  }
  return values;
}

std::string tick_text(double value) { return std::abs(value) < 1e-9 ? "0" : fmt::format("{:.4g}", value); }

std::string line(double x1, double y1, double x2, double y2, std::string_view kind) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" class=\"{}\"/>", x1, y1, x2, y2, kind);
}

std::string words(double x, double y, std::string_view anchor, const std::string& text, std::string_view kind) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\">{}</text>", x, y, anchor, kind, escape_html(text));
}

std::string frame(const Plot& plot, const Axis& x, const Axis& y) {
  std::string svg;
  for (double tick : ticks(x)) {
    svg += line(x.pixel(tick), kTop, x.pixel(tick), kHeight - kBottom, "grid");
    svg += words(x.pixel(tick), kHeight - kBottom + 18, "middle", tick_text(tick), "tick");
  }
  for (double tick : ticks(y)) {
    svg += line(kLeft, y.pixel(tick), kWidth - kRight, y.pixel(tick), "grid");
    svg += words(kLeft - 8, y.pixel(tick) + 4, "end", tick_text(tick), "tick");
  }
  svg += words((kLeft + kWidth - kRight) / 2, kHeight - 10, "middle", plot.x_label, "axis");
  svg += fmt::format("<text transform=\"translate(14 {:.1f}) rotate(-90)\" text-anchor=\"middle\" class=\"axis\">{}</text>",
                     (kTop + kHeight - kBottom) / 2, escape_html(plot.y_label));
  return svg;
}

std::string limit(const Plot& plot, const Axis& y) {
  const double at = y.pixel(plot.y_limit);
  return fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"beyond\"/>", kLeft, kTop,
                     kWidth - kRight - kLeft, std::max(0.0, at - kTop)) +
         line(kLeft, at, kWidth - kRight, at, "limit") + words(kWidth - kRight + 6, at + 4, "start", plot.y_limit_label, "limit-text");
}

std::string roofs(const Plot& plot, const Axis& x, const Axis& y) {
  std::string svg;
  const auto value_of = [](const Axis& axis, double at) { return axis.log ? std::pow(10, at) : at; };
  const double left = value_of(x, x.low), right = value_of(x, x.high), bottom = value_of(y, y.low);
  double highest = 0;
  for (const auto& [height, name] : plot.roofs) {
    highest = std::max(highest, height);
    const double knee = std::clamp(height / plot.slope, left, right);
    svg += line(x.pixel(knee), y.pixel(height), x.pixel(right), y.pixel(height), "roof");
    svg += words(x.pixel(right) + 6, y.pixel(height) + 4, "start", name, "roof-text");
  }
  const double begin = std::max(left, bottom / plot.slope), end = std::min(right, highest / plot.slope);
  if (begin < end) svg += line(x.pixel(begin), y.pixel(begin * plot.slope), x.pixel(end), y.pixel(end * plot.slope), "roof");
  return svg;
}

std::string front(const Plot& plot, const Axis& x, const Axis& y) {
  std::string path;
  for (const auto& [at_x, at_y] : plot.front) {
    if (x.holds(at_x) && y.holds(at_y)) path += fmt::format("{:.1f},{:.1f} ", x.pixel(at_x), y.pixel(at_y));
  }
  return path.empty() ? "" : fmt::format("<polyline points=\"{}\" class=\"front\"/>", path);
}

// The first place around the point where a label covers neither a point nor another label.
std::string place_label(double px, double py, const std::string& label, std::vector<Box>& taken) {
  const double width = kLetter * static_cast<double>(label.size());
  Box best{};
  for (const auto& [right, dy] :
       {std::pair(true, -5.0), {true, 14.0}, {false, -5.0}, {false, 14.0}, {true, -18.0}, {false, -18.0}, {true, 27.0}, {false, 27.0}}) {
    const double left = right ? px + 8 : px - 8 - width;
    const Box box{left, py + dy - kLine + 3, left + width, py + dy + 3};
    if (best.right == 0) best = box;  // where all is full
    if (box.left < kLeft || box.right > kWidth - 2 || box.top < 0 || box.bottom > kHeight - kBottom) continue;
    if (std::any_of(taken.begin(), taken.end(), [&](const Box& other) { return box.overlaps(other); })) continue;
    best = box;
    break;
  }
  taken.push_back(best);
  return words(best.left, best.bottom - 3, "start", label, "label");
}

std::string points(const Plot& plot, const Axis& x, const Axis& y) {
  std::string marks, labels;
  std::vector<Box> taken;
  for (const PlotPoint& point : plot.points) {
    if (!x.holds(point.x) || !y.holds(point.y)) continue;
    const double px = x.pixel(point.x), py = y.pixel(point.y);
    taken.push_back({px - 6, py - 6, px + 6, py + 6});
    if (point.x_high > point.x_low && x.holds(point.x_low) && x.holds(point.x_high)) {
      marks += line(x.pixel(point.x_low), py, x.pixel(point.x_high), py, "range " + point.kind);
    }
    marks += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" class=\"{}\"><title>{}: {:.4g}, {:.4g}</title></circle>", px, py,
                         escape_html(point.kind), escape_html(point.title.empty() ? point.label : point.title), point.x, point.y);
  }
  for (const PlotPoint& point : plot.points) {
    if (!x.holds(point.x) || !y.holds(point.y) || point.label.empty()) continue;
    labels += place_label(x.pixel(point.x), y.pixel(point.y), point.label, taken);
  }
  return marks + labels;
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
  std::vector<double> xs, ys = {plot.y_limit};
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
  std::string svg = fmt::format("<svg viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" aria-label=\"{} against {}\">", kWidth, kHeight,
                                escape_html(plot.y_label), escape_html(plot.x_label));
  if (y.holds(plot.y_limit)) svg += limit(plot, y);
  svg += frame(plot, x, y);
  if (plot.slope > 0 && !plot.roofs.empty()) svg += roofs(plot, x, y);
  return svg + front(plot, x, y) + points(plot, x, y) + "</svg>";
}

}  // namespace citius
