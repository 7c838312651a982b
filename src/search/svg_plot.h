// A scatter plot as inline SVG: points with labels and intervals, a horizontal line, and the roofs of a roofline.
#pragma once

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace citius {

struct PlotPoint {
  double x = 0, y = 0;
  std::string color;
  std::string label;
  double x_low = 0, x_high = 0;  // an interval; none where both are 0
};

struct Plot {
  std::string x_label, y_label;
  bool log_x = false, log_y = false;
  std::vector<PlotPoint> points;
  double y_line = NAN;  // a dashed line at this height
  std::string y_line_label;
  double slope = 0;  // y = slope · x up to each roof, where above 0
  std::vector<std::pair<double, std::string>> roofs;
};

/// <svg> element. Points that are not finite, or not positive on a logarithmic axis, are left out.
std::string draw(const Plot& plot);

std::string escape_html(const std::string& text);

}  // namespace citius
