#include "base/log.h"

#include <unistd.h>

namespace citius {

std::string printable(std::string_view text) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t' && c != '\n') || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += c;
    }
  }
  return result;
}

void log_line(LogLevel level, std::string_view text) {
  // One write, so that lines of several threads do not mix.
  std::string line;
  if (::isatty(STDERR_FILENO) == 1) line += "\r\x1b[K";
  line += level == LogLevel::kWarning ? "citius: warning: " : "citius: ";
  line += printable(text);
  line += '\n';
  // A standard error that cannot be written to leaves nowhere to complain.
  [[maybe_unused]] const ssize_t put = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace citius
