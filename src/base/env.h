// Environment variables, read where they are used and never cached.
#pragma once

#include <optional>
#include <string>

namespace citius {

/// The value, or nullopt where the variable is absent or empty.
std::optional<std::string> env(const char* name);

}  // namespace citius
