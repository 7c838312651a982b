#include "tokenizer/jinja/number.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "tokenizer/jinja/text.h"

namespace citius::jinja {

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  const bool negative = text.front() == '-';
  if (negative) text.remove_prefix(1);
  const size_t e = text.find('e');
  const int exponent = std::atoi(std::string(text.substr(e + 1)).c_str());
  std::string digits(text.substr(0, e));
  std::erase(digits, '.');
  std::string out = negative ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (digits.size() > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  const auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

namespace {

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

/// Takes off a 0x, 0o or 0b prefix that fits `base`, and settles base 0. False for what Python refuses.
bool take_prefix(std::string_view& text, int& base, bool& underscore_ok) {
  underscore_ok = false;
  int prefix = 0;
  if (text.size() > 1 && text[0] == '0') {
    const char c = static_cast<char>(text[1] | 0x20);
    prefix = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
  }
  if (prefix != 0 && (base == 0 || base == prefix)) {
    base = prefix;
    text.remove_prefix(2);
    underscore_ok = true;
    return true;
  }
  if (base == 0) {
    base = 10;
    // "010" is refused so that nobody takes it for octal; zeros alone are fine.
    if (!text.empty() && text[0] == '0') return text.find_first_not_of("0_") == std::string_view::npos;
  }
  return true;
}

}  // namespace

std::optional<int64_t> parse_int(std::string_view text, int base, bool& overflow) {
  overflow = false;
  text = strip(text, std::nullopt, /*left=*/true, /*right=*/true);
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  bool underscore_ok = false;
  if (!take_prefix(text, base, underscore_ok) || text.empty()) return std::nullopt;
  uint64_t magnitude = 0;
  for (const char c : text) {
    if (c == '_') {
      if (!underscore_ok) return std::nullopt;
      underscore_ok = false;
      continue;
    }
    const int digit = digit_value(c);
    if (digit >= base) return std::nullopt;
    underscore_ok = true;
    overflow = overflow || __builtin_mul_overflow(magnitude, static_cast<uint64_t>(base), &magnitude) ||
               __builtin_add_overflow(magnitude, static_cast<uint64_t>(digit), &magnitude);
  }
  if (text.back() == '_') return std::nullopt;
  const uint64_t limit = static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0);
  overflow = overflow || magnitude > limit;
  return static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
}

std::optional<double> parse_float(std::string_view text) {
  text = strip(text, std::nullopt, /*left=*/true, /*right=*/true);
  std::string cleaned;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_') {
      const bool between = i > 0 && i + 1 < text.size() && digit_value(text[i - 1]) < 10 && digit_value(text[i + 1]) < 10;
      if (!between) return std::nullopt;
      continue;
    }
    cleaned.push_back(static_cast<char>(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]));
  }
  std::string_view rest = cleaned;
  const bool negative = !rest.empty() && rest[0] == '-';
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) rest.remove_prefix(1);
  if (rest == "inf" || rest == "infinity") return negative ? -INFINITY : INFINITY;
  if (rest == "nan") return NAN;
  if (rest.empty() || rest.find_first_not_of("0123456789.e+-") != std::string_view::npos) return std::nullopt;
  double value = 0;
  const auto result = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (result.ptr != rest.data() + rest.size()) return std::nullopt;
  if (result.ec == std::errc::result_out_of_range) value = std::strtod(std::string(rest).c_str(), nullptr);
  if (result.ec == std::errc::invalid_argument || rest[0] == '-' || rest[0] == '+') return std::nullopt;
  return negative ? -value : value;
}

double round_decimal(double value, int64_t digits) {
  if (!std::isfinite(value) || digits > 323) return value;
  if (digits < -308) return std::copysign(0.0, value);
  if (digits >= 0) {
    // printf rounds the exact binary value, ties to even, as Python does.
    return std::strtod(fmt::format("{:.{}f}", value, static_cast<int>(digits)).c_str(), nullptr);
  }
  const double unit = std::pow(10.0, static_cast<double>(-digits));
  const double scaled = value / unit;
  double rounded = std::round(scaled);
  if (std::fabs(scaled - rounded) == 0.5) rounded = 2.0 * std::round(scaled / 2.0);
  return rounded * unit;
}

}  // namespace citius::jinja
