#include "backend/dispatch_trace.h"

#include <cstdio>
#include <cstdlib>

#include "base/error.h"

namespace citius {

DispatchTrace::DispatchTrace() {
  const char* text = std::getenv("CITIUS_TRACE");
  std::string_view rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const std::string_view topic = rest.substr(0, comma);
    if (topic != "dispatch") fail(ErrorKind::kUsage, "CITIUS_TRACE", "unknown topic, got '{}', expected dispatch", topic);
    on_ = true;
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
}

void DispatchTrace::print_once(std::string line) {
  if (!printed_.insert(line).second) return;
  line = "dispatch: " + line + "\n";
  std::fputs(line.c_str(), stderr);
}

}  // namespace citius
