// What CITIUS_TRACE=dispatch prints to standard error: each distinct choice of a kernel, once.
#pragma once

#include <fmt/format.h>

#include <set>
#include <string>
#include <string_view>

namespace citius {

class DispatchTrace {
 public:
  /// Reads CITIUS_TRACE, a list of topics separated by commas. Throws Error{kUsage} for an unknown topic.
  DispatchTrace();

  /// Whether to print; building the line costs more than a small op.
  bool on() const { return on_; }
  template <typename... Args>
  void print(fmt::format_string<Args...> format, Args&&... args) {
    print_once(fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  void print_once(std::string line);

  bool on_ = false;
  std::set<std::string> printed_;
};

}  // namespace citius
