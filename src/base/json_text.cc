#include "base/json_text.h"

#include <cmath>
#include <iterator>

#include "base/error.h"

namespace citius {
namespace {

// Length of the well-formed sequence at `at`; 0 where it is ill-formed, with `bad` the length of its maximal part
// (Unicode 15, table 3-7 and section 3.9).
size_t sequence_length(std::string_view text, size_t at, size_t& bad) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(at);
  bad = 1;
  if (first < 0x80) return 1;
  if (first < 0xC2 || first > 0xF4) return 0;
  const size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  for (size_t i = 1; i < length; ++i) {
    if (byte(at + i) < low || byte(at + i) > high) return 0;
    bad = i + 1;
    low = 0x80;
    high = 0xBF;
  }
  return length;
}

template <typename Float>
std::string number_text(Float number) {
  if (!std::isfinite(number)) fail(ErrorKind::kFailed, "JSON", "a result is {}, expected a finite number", number);
  std::string text = fmt::format("{}", number);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

void append_indent(std::string& out, int depth) {
  out += '\n';
  out.append(static_cast<size_t>(depth) * 2, ' ');
}

void append(std::string& out, const json::value& value, bool pretty, int depth) {
  switch (value.kind()) {
    case json::kind::null: out += "null"; break;
    case json::kind::bool_: out += value.get_bool() ? "true" : "false"; break;
    case json::kind::int64: out += fmt::format("{}", value.get_int64()); break;
    case json::kind::uint64: out += fmt::format("{}", value.get_uint64()); break;
    case json::kind::double_: out += json_number(value.get_double()); break;
    case json::kind::string: out += json_quote(value.get_string()); break;
    case json::kind::array: {
      // An array of plain values stays on one line.
      bool flat = !pretty;
      if (pretty) {
        flat = true;
        for (const json::value& item : value.get_array()) flat = flat && !item.is_structured();
      }
      out += '[';
      bool first = true;
      for (const json::value& item : value.get_array()) {
        if (!first) out += flat ? ", " : ",";
        first = false;
        if (!flat) append_indent(out, depth + 1);
        append(out, item, pretty, depth + 1);
      }
      if (!flat) append_indent(out, depth);
      out += ']';
      break;
    }
    case json::kind::object: {
      out += '{';
      bool first = true;
      for (const auto& [key, item] : value.get_object()) {
        if (!first) out += pretty ? "," : ", ";
        first = false;
        if (pretty) append_indent(out, depth + 1);
        out += json_quote(key) + ": ";
        append(out, item, pretty, depth + 1);
      }
      if (pretty && !first) append_indent(out, depth);
      out += '}';
      break;
    }
  }
}

}  // namespace

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    size_t bad = 0;
    const size_t length = sequence_length(text, at, bad);
    if (length > 0) {
      out.append(text.substr(at, length));
      at += length;
    } else {
      out += "\xEF\xBF\xBD";
      at += bad;
    }
  }
  return out;
}

std::string json_quote(std::string_view text) { return json::serialize(json::string(valid_utf8(text))); }
std::string json_number(double number) { return number_text(number); }
std::string json_number(float number) { return number_text(number); }

std::string json_text(const json::value& value, bool pretty) {
  std::string out;
  append(out, value, pretty, 0);
  return out;
}

}  // namespace citius
