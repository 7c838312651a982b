// Python's numbers as text: repr of floats, int() and float() of strings, round().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace citius::jinja {

/// repr(float): shortest text that reads back, "1.0", "1e+16", "inf", "nan".
std::string float_repr(double value);
/// int(text, base): surrounding white space, sign, underscores, 0x/0o/0b prefixes for base 0 or their own. Empty where
/// Python raises ValueError. `overflow` is set where the number is one that 64 bits do not hold.
std::optional<int64_t> parse_int(std::string_view text, int base, bool& overflow);
/// float(text), "inf" and "nan" included. Empty where Python raises ValueError.
std::optional<double> parse_float(std::string_view text);
/// round(value, digits): to the nearest decimal, exact ties to even.
double round_decimal(double value, int64_t digits);

}  // namespace citius::jinja
