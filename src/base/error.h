// Errors that a user, a file, a network or a device can cause. Each carries a kind, which the command line turns into an
// exit code and a server into an HTTP status. Programmer errors use CHECK (base/check.h) instead.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace citius {

enum class ErrorKind {
  kUsage,        // wrong command line or arguments of an API call: exit 2
  kInput,        // damaged, unsupported or inconsistent file, model or data: exit 3
  kFailed,       // the thing asked for could not be met (a budget, a receipt): exit 1
  kResource,     // memory, disk or another limit of the machine: exit 1
  kNetwork,      // a download or connection failed: exit 1
  kInterrupted,  // stopped by the user: exit 130
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string message) : std::runtime_error(std::move(message)), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// Throws Error. Message form: `[where] what, got X, expected Y; hint`.
template <typename... Args>
[[noreturn]] void fail(ErrorKind kind, std::string_view where, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format("[{}] {}", where, fmt::format(format, std::forward<Args>(args)...)));
}

/// fail() for bad files, models and data, by far the most frequent kind.
template <typename... Args>
[[noreturn]] void fail_input(std::string_view where, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::kInput, fmt::format("[{}] {}", where, fmt::format(format, std::forward<Args>(args)...)));
}

/// Exit code of the command line for an error of this kind (docs/cli.md).
int exit_code(ErrorKind kind);

}  // namespace citius
