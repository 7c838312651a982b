#include "base/env.h"

#include <cstdlib>

namespace citius {

std::optional<std::string> env(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): nothing in citius sets variables
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

}  // namespace citius
