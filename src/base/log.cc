#include "base/log.h"

#include <unistd.h>

namespace citius {

void log_line(LogLevel level, std::string_view text) {
  // One write, so that lines of several threads do not mix.
  std::string line;
  if (::isatty(STDERR_FILENO) == 1) line += "\r\x1b[K";
  line += level == LogLevel::kWarning ? "citius: warning: " : "citius: ";
  line.append(text);
  line += '\n';
  // A standard error that cannot be written to leaves nowhere to complain.
  [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace citius
