// JSON as citius writes it: numbers in their shortest form that reads back equal, text that is always valid UTF-8.
#pragma once

#include <string>

#include "base/json.h"

namespace citius {

/// One line without spaces to spare ("{"a": 1}"), or, `pretty`, indented by two spaces. Invalid UTF-8 in strings becomes
/// U+FFFD. Throws Error{kFailed} for a number that is not finite: JSON has no word for it.
std::string json_text(const json::value& value, bool pretty = false);

/// A JSON string literal, quotes included.
std::string json_quote(std::string_view text);
/// A JSON number. Floats keep nine digits at most: what reads back as the same float.
std::string json_number(double number);
std::string json_number(float number);

/// `text` with each maximal ill-formed part replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

}  // namespace citius
