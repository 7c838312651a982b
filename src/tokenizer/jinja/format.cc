// Python's two ways of formatting: "..." % values and "...".format(...).
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "tokenizer/jinja/methods.h"
#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

constexpr int64_t kMaxPrecision = 500;

/// How one value is to be shown; the common ground of both ways.
struct Spec {
  std::string fill = " ";
  char align = '\0';  // < > ^ =
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  char group = '\0';
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};

std::string group_digits(std::string digits, char mark, size_t every) {
  const size_t end = std::min(digits.find_first_not_of("0123456789abcdefABCDEF"), digits.size());
  for (size_t at = end; at > every;) {
    at -= every;
    digits.insert(at, 1, mark);
  }
  return digits;
}

std::string radix_digits(uint64_t magnitude, char type) {
  switch (type) {
    case 'x': return fmt::format("{:x}", magnitude);
    case 'X': return fmt::format("{:X}", magnitude);
    case 'o': return fmt::format("{:o}", magnitude);
    case 'b': return fmt::format("{:b}", magnitude);
    default: return std::to_string(magnitude);
  }
}

class Formatter {
 public:
  Formatter(Runtime& runtime, Text& out) : runtime_(runtime), out_(out) {}

  /// Fills up `sign` and `body` to the width.
  void pad(const Spec& spec, std::string_view sign, std::string_view body, char default_align) {
    const char align = spec.align != '\0' ? spec.align : default_align;
    const auto size = static_cast<int64_t>(count_code_points(sign) + count_code_points(body));
    const int64_t missing = std::max<int64_t>(spec.width - size, 0);
    const int64_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
    if (align != '=') append_fill(spec.fill, left);
    out_.append(sign);
    if (align == '=') append_fill(spec.fill, missing);
    out_.append(body);
    if (align == '<' || align == '^') append_fill(spec.fill, missing - left);
  }

  void integer(Spec spec, int64_t value) {
    const uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    std::string digits = radix_digits(magnitude, spec.type);
    if (static_cast<int64_t>(digits.size()) < spec.precision) {
      digits.insert(0, static_cast<size_t>(spec.precision) - digits.size(), '0');
    }
    const bool decimal = spec.type == 'd' || spec.type == 'i' || spec.type == 'u' || spec.type == '\0';
    if (spec.group != '\0') digits = group_digits(std::move(digits), spec.group, decimal ? 3 : 4);
    std::string sign = sign_of(spec, value < 0);
    if (spec.alternate && !decimal) sign += {'0', spec.type};
    pad(zeroed(spec), sign, digits, '>');
  }

  void real(Spec spec, double value) {
    const bool percent = spec.type == '%';
    if (percent) value *= 100;
    const bool negative = std::signbit(value) && !std::isnan(value);
    std::string digits = real_digits(spec, std::fabs(value));
    if (spec.group != '\0') digits = group_digits(std::move(digits), spec.group, 3);
    if (percent) digits.push_back('%');
    pad(std::isfinite(value) ? zeroed(spec) : spec, sign_of(spec, negative), digits, '>');
  }

  void text(const Spec& spec, std::string_view value) {
    if (spec.precision >= 0) value = value.substr(0, byte_offset(value, static_cast<size_t>(spec.precision)));
    pad(spec, "", value, '<');
  }

 private:
  void append_fill(const std::string& fill, int64_t count) {
    if (count <= 0) return;
    Value unit = runtime_.str(fill);
    out_.append_value(runtime_.arithmetic(Arithmetic::kMultiply, unit, count));
  }

  static std::string sign_of(const Spec& spec, bool negative) {
    if (negative) return "-";
    return spec.sign == '+' ? "+" : spec.sign == ' ' ? " " : "";
  }

  static Spec zeroed(Spec spec) {
    if (!spec.zero || spec.align != '\0') return spec;
    spec.fill = "0";
    spec.align = '=';
    return spec;
  }

  static std::string real_digits(const Spec& spec, double value) {
    const bool upper = spec.type == 'E' || spec.type == 'F' || spec.type == 'G';
    if (!std::isfinite(value)) return std::isnan(value) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf");
    if (spec.type == '\0' && spec.precision < 0) return float_repr(value);
    const char type = spec.type == '\0' || spec.type == 'n' ? 'g' : spec.type == '%' ? 'f' : spec.type;
    const std::string pattern = std::string(spec.alternate ? "%#.*" : "%.*") + type;
    const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
    char buffer[1024];
    const int size = std::snprintf(buffer, sizeof buffer, pattern.c_str(), precision, value);
    std::string digits(buffer, static_cast<size_t>(std::max(size, 0)));
    const bool plain = digits.find_first_of(".e") == std::string::npos;
    return spec.type == '\0' && plain ? digits + ".0" : digits;
  }

  Runtime& runtime_;
  Text& out_;
};

/// "..." % values
class PercentFormat {
 public:
  PercentFormat(Runtime& runtime, const Str& format, const Value& values)
      : runtime_(runtime), format_(format), values_(values), out_(runtime), formatter_(runtime, out_) {
    const List* list = as_list(values);
    tuple_ = list != nullptr && list->is_tuple ? list : nullptr;
  }

  Value run() {
    const std::string_view text = format_.text;
    while (pos_ < text.size()) {
      const size_t percent = std::min(text.find('%', pos_), text.size());
      out_.append(text.substr(pos_, percent - pos_));
      pos_ = percent + 1;
      if (percent < text.size()) one();
    }
    const bool lenient = as_dict(values_) != nullptr || is_undefined(values_) || as_object<Range>(values_) != nullptr ||
                         (as_list(values_) != nullptr && tuple_ == nullptr);
    const size_t given = tuple_ != nullptr ? tuple_->items.size() : 1;
    if (!lenient && used_ < given && !by_key_) runtime_.fail("not all arguments were used by the format string");
    return out_.finish(format_.markup);
  }

 private:
  char peek() const { return pos_ < format_.text.size() ? format_.text[pos_] : '\0'; }

  void one() {
    Spec spec;
    const Value* keyed = nullptr;
    if (peek() == '(') keyed = &read_key();
    read_flags(spec);
    spec.width = read_number();
    if (spec.width < 0) {
      spec.align = '<';
      spec.width = -std::max<int64_t>(spec.width, -INT32_MAX);
    }
    if (peek() == '.') {
      ++pos_;
      spec.precision = std::max<int64_t>(read_number(), 0);
      if (spec.precision > kMaxPrecision && peek() != 's') runtime_.fail("the precision of a format is too large");
    }
    while (peek() == 'l' || peek() == 'h' || peek() == 'L') ++pos_;
    if (pos_ >= format_.text.size()) runtime_.fail("a format string is cut short");
    spec.type = format_.text[pos_++];
    if (spec.type == '%') return out_.append('%');
    convert(spec, keyed != nullptr ? *keyed : next_value());
  }

  const Value& read_key() {
    const size_t close = format_.text.find(')', pos_);
    if (close == std::string::npos) runtime_.fail("a format string has an open '('");
    const std::string key = format_.text.substr(pos_ + 1, close - pos_ - 1);
    const Dict* dict = as_dict(values_);
    if (dict == nullptr) runtime_.fail("a format string with names expects a dict");
    const Value* found = dict->find(key);
    if (found == nullptr) runtime_.fail("the format string asks for '{}', which is not given", key);
    pos_ = close + 1;
    by_key_ = true;
    return *found;
  }

  void read_flags(Spec& spec) {
    for (;; ++pos_) {
      const char flag = peek();
      if (flag == '-')
        spec.align = '<';
      else if (flag == '+')
        spec.sign = '+';
      else if (flag == ' ')
        spec.sign = spec.sign == '+' ? '+' : ' ';
      else if (flag == '#')
        spec.alternate = true;
      else if (flag == '0')
        spec.zero = true;
      else
        return;
    }
  }

  int64_t read_number() {
    if (peek() == '*') {
      ++pos_;
      return int_argument(runtime_, "a width", &next_value(), 0);
    }
    int64_t number = 0;
    for (; peek() >= '0' && peek() <= '9'; ++pos_) number = std::min<int64_t>(number * 10 + (peek() - '0'), INT32_MAX);
    return number;
  }

  const Value& next_value() {
    const size_t at = used_++;
    if (tuple_ == nullptr && at == 0) return values_;
    if (tuple_ == nullptr || at >= tuple_->items.size()) runtime_.fail("not enough arguments for the format string");
    return tuple_->items[at];
  }

  void convert(Spec spec, const Value& value) {
    const std::string_view kinds = "diuxXoeEfFgGcrsa";
    if (kinds.find(spec.type) == std::string_view::npos) runtime_.fail("unknown format '%{}'", spec.type);
    if (spec.align == '\0') spec.align = spec.zero && spec.type != 's' && spec.type != 'r' ? '\0' : '>';
    if (spec.type == 's' || spec.type == 'r' || spec.type == 'a') {
      std::string text = spec.type == 's' ? runtime_.text(value) : runtime_.repr(value);
      const Str* str = as_str(value);
      if (format_.markup && !(str != nullptr && str->markup)) text = escape_html(text);
      return formatter_.text(spec, text);
    }
    if (const Undefined* undefined = std::get_if<Undefined>(&value)) runtime_.fail_undefined(*undefined);
    if (spec.type == 'c') return formatter_.text(spec, character(value));
    if (!is_number(value)) runtime_.fail("'%{}' expects a number, got a {}", spec.type, type_name(value));
    int64_t integer = 0;
    const bool is_int = get_int(value, integer);
    const double real = is_int ? static_cast<double>(integer) : std::get<double>(value);
    if (std::string_view("eEfFgG").find(spec.type) != std::string_view::npos) return formatter_.real(spec, real);
    if (!is_int) {
      if (std::string_view("xXo").find(spec.type) != std::string_view::npos || !(std::fabs(real) < 9.2e18)) {
        runtime_.fail("'%{}' expects an integer", spec.type);
      }
      integer = static_cast<int64_t>(real);
    }
    formatter_.integer(spec, integer);
  }

  std::string character(const Value& value) {
    int64_t code = 0;
    if (const Str* str = as_str(value); str != nullptr && str->length == 1) return str->text;
    if (!get_int(value, code) || code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
      runtime_.fail("'%c' expects a character");
    }
    std::string text;
    append_utf8(text, static_cast<char32_t>(code));
    return text;
  }

  Runtime& runtime_;
  const Str& format_;
  const Value& values_;
  const List* tuple_ = nullptr;
  Text out_;
  Formatter formatter_;
  size_t pos_ = 0;
  size_t used_ = 0;
  bool by_key_ = false;
};

/// "...".format(...)
class BraceFormat {
 public:
  BraceFormat(Runtime& runtime, const Args& args) : runtime_(runtime), args_(args) {}

  /// `depth`: 0 in the text itself, 1 in the description of a field.
  void run(std::string_view text, Text& out, int depth) {
    for (size_t pos = 0; pos < text.size();) {
      const size_t brace = std::min(text.find_first_of("{}", pos), text.size());
      out.append(text.substr(pos, brace - pos));
      if (brace == text.size()) return;
      if (brace + 1 < text.size() && text[brace + 1] == text[brace]) {
        out.append(text[brace]);
        pos = brace + 2;
        continue;
      }
      if (text[brace] == '}') runtime_.fail("a format string has a single '}}'");
      const size_t close = field_end(text, brace + 1);
      if (depth > 1) runtime_.fail("a format string is nested too deep");
      field(text.substr(brace + 1, close - brace - 1), out, depth);
      pos = close + 1;
    }
  }

 private:
  size_t field_end(std::string_view text, size_t pos) const {
    int open = 1;
    bool bracket = false;
    for (; pos < text.size(); ++pos) {
      if (text[pos] == '[') bracket = true;
      if (text[pos] == ']') bracket = false;
      if (bracket) continue;
      if (text[pos] == '{') ++open;
      if (text[pos] == '}' && --open == 0) return pos;
    }
    runtime_.fail("a format string has an open '{{'");
  }

  void field(std::string_view text, Text& out, int depth) {
    const size_t mark = text.find_first_of("!:");
    const std::string_view path = text.substr(0, mark);
    std::string_view rest = mark == std::string_view::npos ? std::string_view() : text.substr(mark);
    char conversion = '\0';
    if (rest.starts_with('!')) {
      if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':')) runtime_.fail("a format has a malformed conversion");
      conversion = rest[1];
      rest.remove_prefix(2);
    }
    if (rest.starts_with(':')) rest.remove_prefix(1);
    Value value = lookup(path);
    if (conversion == 'r' || conversion == 'a')
      value = runtime_.str(runtime_.repr(value));
    else if (conversion == 's')
      value = runtime_.str(runtime_.text(value));
    else if (conversion != '\0')
      runtime_.fail("unknown conversion '{}' in a format", conversion);
    Text spec(runtime_);
    run(rest, spec, depth + 1);
    show(value, spec.view(), out);
  }

  Value lookup(std::string_view path) {
    size_t pos = std::min(path.find_first_of(".["), path.size());
    Value value = argument(path.substr(0, pos));
    while (pos < path.size()) {
      if (path[pos] == '.') {
        const size_t end = std::min(path.find_first_of(".[", pos + 1), path.size());
        const Value name = runtime_.str(std::string(path.substr(pos + 1, end - pos - 1)));
        value = runtime_.get_attribute(value, std::get<StrPtr>(name));
        pos = end;
      } else {
        const size_t end = path.find(']', pos);
        if (end == std::string_view::npos) runtime_.fail("a format has an open '['");
        const std::string_view key = path.substr(pos + 1, end - pos - 1);
        bool overflow = false;
        const bool digits = !key.empty() && key.find_first_not_of("0123456789") == std::string_view::npos;
        const auto index = digits ? parse_int(key, 10, overflow) : std::nullopt;
        value = runtime_.get_item(value, index ? Value(*index) : runtime_.str(std::string(key)));
        pos = end + 1;
      }
    }
    return value;
  }

  Value argument(std::string_view name) {
    const bool numbered = name.empty() || name.find_first_not_of("0123456789") == std::string_view::npos;
    if (!numbered) {
      for (const auto& [known, value] : args_.keyword) {
        if (known == name) return value;
      }
      runtime_.fail("the format asks for '{}', which is not given", name);
    }
    if ((name.empty() && manual_) || (!name.empty() && automatic_ > 0)) {
      runtime_.fail("a format numbers some fields and not others");
    }
    manual_ = manual_ || !name.empty();
    bool overflow = false;
    const auto at = name.empty() ? static_cast<size_t>(automatic_++) : static_cast<size_t>(*parse_int(name, 10, overflow));
    if (overflow || at >= args_.positional.size()) runtime_.fail("the format asks for more arguments than are given");
    return args_.positional[at];
  }

  Spec parse(std::string_view text) const {
    Spec spec;
    size_t first = 0;
    if (!text.empty()) next_code_point(text, first);
    const auto is_align = [](char c) { return c == '<' || c == '>' || c == '^' || c == '='; };
    if (first < text.size() && is_align(text[first])) {
      spec.fill = std::string(text.substr(0, first));
      spec.align = text[first];
      text.remove_prefix(first + 1);
    } else if (!text.empty() && is_align(text[0])) {
      spec.align = text[0];
      text.remove_prefix(1);
    }
    const auto take = [&](std::string_view set) {
      if (text.empty() || set.find(text[0]) == std::string_view::npos) return '\0';
      const char c = text[0];
      text.remove_prefix(1);
      return c;
    };
    const auto number = [&]() {
      int64_t out = 0;
      while (const char c = take("0123456789")) out = std::min<int64_t>(out * 10 + (c - '0'), INT32_MAX);
      return out;
    };
    if (const char sign = take("+- ")) spec.sign = sign;
    spec.alternate = take("#") != '\0';
    spec.zero = take("0") != '\0';
    spec.width = number();
    spec.group = take(",_");
    if (take(".") != '\0') spec.precision = number();
    spec.type = text.empty() ? '\0' : text[0];
    if (text.size() > 1) runtime_.fail("the format specifier '{}' is malformed", text);
    if (spec.zero && spec.group != '\0') runtime_.fail("a format with both zeros and groups is not supported");
    if (spec.precision > kMaxPrecision && spec.type != 's' && spec.type != '\0') {
      runtime_.fail("the precision of a format is too large");
    }
    return spec;
  }

  void show(const Value& value, std::string_view text, Text& out) {
    if (text.empty()) return out.append_value(value);
    Spec spec = parse(text);
    Formatter formatter(runtime_, out);
    if (const Str* str = as_str(value)) {
      if (spec.type != '\0' && spec.type != 's') refuse(spec, value);
      if (spec.zero && spec.align == '\0') {
        spec.fill = "0";
        spec.align = '<';
      }
      if (spec.align == '=' || spec.sign != '-') refuse(spec, value);
      return formatter.text(spec, str->text);
    }
    if (!is_number(value)) refuse(spec, value);
    int64_t integer = 0;
    const bool is_int = get_int(value, integer);
    const bool as_real = std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos && spec.type != '\0';
    if (!is_int || as_real) {
      if (!as_real && spec.type != '\0' && spec.type != 'n') refuse(spec, value);
      if (spec.precision > kMaxPrecision) runtime_.fail("the precision of a format is too large");
      return formatter.real(spec, is_int ? static_cast<double>(integer) : std::get<double>(value));
    }
    if (spec.precision >= 0 || std::string_view("dxXobn").find(spec.type == '\0' ? 'd' : spec.type) == std::string_view::npos) {
      refuse(spec, value);
    }
    formatter.integer(spec, integer);
  }

  [[noreturn]] void refuse(const Spec& spec, const Value& value) const {
    runtime_.fail("the format '{}' does not fit a {}", spec.type == '\0' ? ' ' : spec.type, type_name(value));
  }

  Runtime& runtime_;
  const Args& args_;
  int automatic_ = 0;
  bool manual_ = false;
};

}  // namespace

Value Runtime::format_percent(const Str& format, const Value& values) {
  budget.work();
  return PercentFormat(*this, format, values).run();
}

Value format_braces(Runtime& runtime, const Value& self, const Args& args) {
  Text out(runtime);
  runtime.budget.work_bytes(as_str(self)->text.size() * 8);
  BraceFormat(runtime, args).run(as_str(self)->text, out, 0);
  return out.finish(as_str(self)->markup);
}

}  // namespace citius::jinja
