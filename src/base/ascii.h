// Letters of ASCII, whatever the locale.
#pragma once

#include <string>

namespace citius {

inline std::string ascii_lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

}  // namespace citius
