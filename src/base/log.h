// Messages for the user on standard error: warnings and notes. Results never go here.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace citius {

enum class LogLevel { kNote, kWarning };

/// Text of others (a file's line, a name) as it may stand in a message: control characters but tab and line feed as \xNN, which a terminal
/// would obey.
std::string printable(std::string_view text);

/// Writes one line to standard error; a progress bar on the terminal is wiped first. Safe from any thread.
void log_line(LogLevel level, std::string_view text);

template <typename... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}

template <typename... Args>
void log_note(fmt::format_string<Args...> format, Args&&... args) {
  log_line(LogLevel::kNote, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace citius
