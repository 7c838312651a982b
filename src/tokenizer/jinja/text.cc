#include "tokenizer/jinja/text.h"

#include <fmt/format.h>
#include <unicode/casemap.h>
#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>

namespace citius::jinja {

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

size_t find_invalid_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  for (size_t pos = 0; pos < text.size();) {
    if (bytes[pos] < 0x80) {
      ++pos;
      continue;
    }
    const size_t start = pos;
    UChar32 code = 0;
    U8_NEXT(bytes, pos, text.size(), code);
    if (code < 0) return start;
  }
  return std::string_view::npos;
}

std::string replace_invalid_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  std::string out;
  out.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) {
    UChar32 code = 0;
    U8_NEXT(bytes, pos, text.size(), code);
    append_utf8(out, code < 0 ? U'\uFFFD' : static_cast<char32_t>(code));
  }
  return out;
}

char32_t next_code_point(std::string_view text, size_t& pos) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  UChar32 code = 0;
  U8_NEXT(bytes, pos, text.size(), code);
  return code < 0 ? U'\uFFFD' : static_cast<char32_t>(code);
}

void append_utf8(std::string& out, char32_t code) {
  uint8_t buffer[U8_MAX_LENGTH];
  int32_t length = 0;
  UBool failed = false;
  U8_APPEND(buffer, length, U8_MAX_LENGTH, static_cast<UChar32>(code), failed);
  if (!failed) out.append(reinterpret_cast<const char*>(buffer), static_cast<size_t>(length));
}

size_t byte_offset(std::string_view text, size_t index) {
  size_t pos = 0;
  for (; pos < text.size(); ++pos) {
    if ((static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80) continue;
    if (index-- == 0) return pos;
  }
  return pos;
}

std::u32string to_code_points(std::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  for (size_t pos = 0; pos < text.size();) points.push_back(next_code_point(text, pos));
  return points;
}

bool is_space(char32_t code) {
  if (code < 0x80) return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20);
  return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

std::string_view strip(std::string_view text, std::optional<std::string_view> chars, bool left, bool right) {
  std::u32string set;
  if (chars) set = to_code_points(*chars);
  const auto drops = [&](char32_t code) { return chars ? set.find(code) != std::u32string::npos : is_space(code); };
  size_t begin = 0, end = text.size();
  while (left && begin < end) {
    size_t pos = begin;
    if (!drops(next_code_point(text, pos))) break;
    begin = pos;
  }
  while (right && begin < end) {
    size_t start = end - 1;
    while (start > begin && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    size_t pos = start;
    if (!drops(next_code_point(text, pos))) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t pos = 0; pos < text.size();) {
    const size_t start = pos;
    const char32_t code = next_code_point(text, pos);
    const bool ends = (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 || code == 0x2028 || code == 0x2029;
    if (!ends) continue;
    if (code == '\r' && pos < text.size() && text[pos] == '\n') ++pos;
    lines.push_back(text.substr(begin, (keep_ends ? pos : start) - begin));
    begin = pos;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

namespace {

icu::UnicodeString from_utf8(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

std::string to_utf8(const icu::UnicodeString& text) {
  std::string out;
  text.toUTF8String(out);
  return out;
}

bool all_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

char ascii_upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool is_cased(char32_t code) { return u_hasBinaryProperty(static_cast<UChar32>(code), UCHAR_CASED); }
bool is_case_ignorable(char32_t code) { return u_hasBinaryProperty(static_cast<UChar32>(code), UCHAR_CASE_IGNORABLE); }

/// Whether a capital sigma at `at` stands at the end of a word, where its lower case is another letter.
bool ends_word(const std::u32string& points, size_t at) {
  size_t before = at;
  while (before > 0 && is_case_ignorable(points[before - 1])) --before;
  if (before == 0 || !is_cased(points[before - 1])) return false;
  size_t after = at + 1;
  while (after < points.size() && is_case_ignorable(points[after])) ++after;
  return after == points.size() || !is_cased(points[after]);
}

enum class Case { kLower, kUpper, kTitle };

/// Appends the full mapping of one code point, which may be several.
void append_mapped(std::string& out, const std::u32string& points, size_t at, Case to) {
  const char32_t code = points[at];
  if (to == Case::kLower && code == 0x3A3) {
    append_utf8(out, ends_word(points, at) ? 0x3C2 : 0x3C3);
    return;
  }
  if (code < 0x80) {
    const char c = static_cast<char>(code);
    out.push_back(to == Case::kLower ? ascii_lower(c) : ascii_upper(c));
    return;
  }
  icu::UnicodeString text(static_cast<UChar32>(code));
  if (to == Case::kTitle) {
    char16_t mapped[8];
    UErrorCode error = U_ZERO_ERROR;
    const int32_t length = icu::CaseMap::toTitle("", U_TITLECASE_WHOLE_STRING | U_TITLECASE_NO_LOWERCASE | U_TITLECASE_NO_BREAK_ADJUSTMENT,
                                                 nullptr, text.getBuffer(), text.length(), mapped, 8, nullptr, error);
    if (U_SUCCESS(error)) text = icu::UnicodeString(mapped, length);
  } else if (to == Case::kUpper) {
    text.toUpper(icu::Locale::getRoot());
  } else {
    text.toLower(icu::Locale::getRoot());
  }
  text.toUTF8String(out);
}

}  // namespace

std::string to_upper(std::string_view text) {
  std::string out(text);
  if (all_ascii(text)) {
    std::transform(out.begin(), out.end(), out.begin(), ascii_upper);
    return out;
  }
  return to_utf8(from_utf8(text).toUpper(icu::Locale::getRoot()));
}

std::string to_lower(std::string_view text) {
  std::string out(text);
  if (all_ascii(text)) {
    std::transform(out.begin(), out.end(), out.begin(), ascii_lower);
    return out;
  }
  return to_utf8(from_utf8(text).toLower(icu::Locale::getRoot()));
}

std::string case_fold(std::string_view text) { return to_utf8(from_utf8(text).foldCase()); }

std::string capitalize(std::string_view text) {
  const std::u32string points = to_code_points(text);
  std::string out;
  for (size_t i = 0; i < points.size(); ++i) append_mapped(out, points, i, i == 0 ? Case::kTitle : Case::kLower);
  return out;
}

std::string title_case(std::string_view text) {
  const std::u32string points = to_code_points(text);
  std::string out;
  bool in_word = false;
  for (size_t i = 0; i < points.size(); ++i) {
    append_mapped(out, points, i, in_word ? Case::kLower : Case::kTitle);
    in_word = is_cased(points[i]);
  }
  return out;
}

std::string swap_case(std::string_view text) {
  const std::u32string points = to_code_points(text);
  std::string out;
  for (size_t i = 0; i < points.size(); ++i) {
    if (u_isUUppercase(static_cast<UChar32>(points[i]))) {
      append_mapped(out, points, i, Case::kLower);
    } else if (u_isULowercase(static_cast<UChar32>(points[i]))) {
      append_mapped(out, points, i, Case::kUpper);
    } else {
      append_utf8(out, points[i]);
    }
  }
  return out;
}

namespace {

bool is_letter(char32_t code) { return (U_GET_GC_MASK(static_cast<UChar32>(code)) & U_GC_L_MASK) != 0; }

bool is_printable(char32_t code) {
  if (code == ' ') return true;
  constexpr uint32_t kHidden = U_GC_C_MASK | U_GC_Z_MASK;
  return (U_GET_GC_MASK(static_cast<UChar32>(code)) & kHidden) == 0;
}

bool has_class(char32_t code, CharClass char_class) {
  const auto numeric = static_cast<UNumericType>(u_getIntPropertyValue(static_cast<UChar32>(code), UCHAR_NUMERIC_TYPE));
  switch (char_class) {
    case CharClass::kAlpha: return is_letter(code);
    case CharClass::kDecimal: return numeric == U_NT_DECIMAL;
    case CharClass::kDigit: return numeric == U_NT_DECIMAL || numeric == U_NT_DIGIT;
    case CharClass::kNumeric: return numeric != U_NT_NONE;
    case CharClass::kAlnum: return is_letter(code) || numeric != U_NT_NONE;
    case CharClass::kSpace: return is_space(code);
    case CharClass::kPrintable: return is_printable(code);
    case CharClass::kAscii: return code < 0x80;
  }
  return false;
}

/// islower() and isupper(): some cased code point, and none of the other case.
bool has_only_case(std::string_view text, bool lower) {
  bool found = false;
  for (size_t pos = 0; pos < text.size();) {
    const auto code = static_cast<UChar32>(next_code_point(text, pos));
    if (u_istitle(code) || (lower ? u_isUUppercase(code) : u_isULowercase(code))) return false;
    found = found || (lower ? u_isULowercase(code) : u_isUUppercase(code));
  }
  return found;
}

}  // namespace

bool all_of_class(std::string_view text, CharClass char_class) {
  if (text.empty()) return char_class == CharClass::kPrintable || char_class == CharClass::kAscii;
  for (size_t pos = 0; pos < text.size();) {
    if (!has_class(next_code_point(text, pos), char_class)) return false;
  }
  return true;
}

bool is_lower(std::string_view text) { return has_only_case(text, /*lower=*/true); }
bool is_upper(std::string_view text) { return has_only_case(text, /*lower=*/false); }

bool is_title(std::string_view text) {
  bool found = false, in_word = false;
  for (size_t pos = 0; pos < text.size();) {
    const auto code = static_cast<UChar32>(next_code_point(text, pos));
    const bool upper = u_isUUppercase(code) || u_istitle(code);
    const bool lower = u_isULowercase(code);
    if ((upper && in_word) || (lower && !in_word)) return false;
    in_word = upper || lower;
    found = found || in_word;
  }
  return found;
}

bool is_identifier_part(char32_t code) {
  if (code < 0x80) return code == '_' || (code >= '0' && code <= '9') || u_isalpha(static_cast<UChar32>(code));
  return u_hasBinaryProperty(static_cast<UChar32>(code), UCHAR_XID_CONTINUE);
}

bool is_identifier(std::string_view text) {
  if (text.empty()) return false;
  size_t pos = 0;
  const char32_t first = next_code_point(text, pos);
  if (first != '_' && !u_hasBinaryProperty(static_cast<UChar32>(first), UCHAR_XID_START)) return false;
  while (pos < text.size()) {
    if (!is_identifier_part(next_code_point(text, pos))) return false;
  }
  return true;
}

bool is_word(char32_t code) { return code == '_' || has_class(code, CharClass::kAlnum); }

std::string quote(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char mark = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, mark);
  for (size_t pos = 0; pos < text.size();) {
    const size_t start = pos;
    const char32_t code = next_code_point(text, pos);
    if (code == static_cast<char32_t>(mark) || code == '\\') {
      out += {'\\', static_cast<char>(code)};
    } else if (code == '\n' || code == '\r' || code == '\t') {
      out += code == '\n' ? "\\n" : code == '\r' ? "\\r" : "\\t";
    } else if (is_printable(code)) {
      out += text.substr(start, pos - start);
    } else if (code < 0x100) {
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(code));
    } else if (code < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(code));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(code));
    }
  }
  out.push_back(mark);
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out.push_back(c);
    }
  }
  return out;
}

}  // namespace citius::jinja
