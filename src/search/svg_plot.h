// A scatter plot as inline SVG: points with labels and intervals, a front through some of them, a horizontal limit, and the
// roofs of a roofline. Colours are CSS classes, so that the page decides them, by day and by night.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace citius {

struct PlotPoint {
  double x = 0, y = 0;
  std::string kind;              // CSS class
  std::string label;             // beside the point; empty: none
  double x_low = 0, x_high = 0;  // an interval; none where both are 0
  std::string title = {};        // shown on hovering
};

struct Plot {
  std::string x_label, y_label;
  bool log_x = false, log_y = false;
  std::vector<PlotPoint> points;
  std::vector<std::pair<double, double>> front;  // points of a line, from left to right
  double y_limit = NAN;                          // what lies above is shaded
  std::string y_limit_label;
  double slope = 0;  // y = slope · x up to each roof, where above 0
  std::vector<std::pair<double, std::string>> roofs;
};

/// <svg> element. Points that are not finite, or not positive on a logarithmic axis, are left out.
std::string draw(const Plot& plot);

std::string escape_html(const std::string& text);

}  // namespace citius
