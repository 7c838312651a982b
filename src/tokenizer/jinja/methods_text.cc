// Methods of str that look at a text or change it in place: case, classes, padding, searching, replacing.
#include <algorithm>

#include "tokenizer/jinja/methods.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {

const Str& text_argument(Runtime& runtime, std::string_view method, const Value& value) {
  if (const Undefined* undefined = std::get_if<Undefined>(&value)) runtime.fail_undefined(*undefined);
  const Str* text = as_str(value);
  if (text == nullptr) runtime.fail("{} expects a string, got a {}", method, type_name(value));
  return *text;
}

namespace {

template <std::string (*kMap)(std::string_view)>
Value mapped(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "this method", args, {}, 0);
  const Str& text = *as_str(self);
  runtime.budget.work_bytes(text.text.size() * 8);
  return runtime.str(kMap(text.text), text.markup);
}

template <CharClass kClass>
Value of_class(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "this method", args, {}, 0);
  runtime.budget.work_bytes(as_str(self)->text.size() * 4);
  return all_of_class(as_str(self)->text, kClass);
}

template <bool (*kTest)(std::string_view)>
Value tested(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "this method", args, {}, 0);
  runtime.budget.work_bytes(as_str(self)->text.size() * 4);
  return kTest(as_str(self)->text);
}

template <bool kLeft, bool kRight>
Value stripped(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "strip", args, {""}, 0);
  const Str& text = *as_str(self);
  std::optional<std::string_view> chars;
  if (bound[0] != nullptr && !is_none(*bound[0])) chars = text_argument(runtime, "strip", *bound[0]).text;
  runtime.budget.work_bytes(text.text.size());
  if (chars) runtime.budget.work(text.text.size() * chars->size() / 64);
  return runtime.str(std::string(strip(text.text, chars, kLeft, kRight)), text.markup);
}

/// The part [start, end) that searching methods look at, and where it begins. Empty where start lies behind the text.
struct Window {
  bool valid = false;
  std::string_view text;
  int64_t start = 0;  // in code points
};

Window window(Runtime& runtime, std::string_view method, const Str& text, const Value* start, const Value* end) {
  const auto size = static_cast<int64_t>(text.length);
  const auto position = [&](const Value* value, int64_t fallback) {
    if (value == nullptr || is_none(*value)) return fallback;
    const int64_t at = int_argument(runtime, method, value, fallback);
    return at < 0 ? std::max<int64_t>(at < -size ? 0 : at + size, 0) : at;
  };
  const int64_t first = position(start, 0);
  const int64_t last = std::min(position(end, size), size);
  if (first > last) return {};
  runtime.budget.work_bytes(text.text.size());
  const size_t begin = byte_offset(text.text, static_cast<size_t>(first));
  const std::string_view rest = std::string_view(text.text).substr(begin);
  return {true, rest.substr(0, byte_offset(rest, static_cast<size_t>(last - first))), first};
}

/// Position of the first or last occurrence in code points, or -1.
int64_t position_of(Runtime& runtime, std::string_view method, const Value& self, const Args& args, bool last) {
  const Bound bound = bind(runtime, method, args, {"", "", ""}, 1);
  const Str& part = text_argument(runtime, method, *bound[0]);
  const Window view = window(runtime, method, *as_str(self), bound[1], bound[2]);
  if (!view.valid) return -1;
  const size_t at = last ? view.text.rfind(part.text) : view.text.find(part.text);
  if (at == std::string_view::npos) return -1;
  return view.start + static_cast<int64_t>(count_code_points(view.text.substr(0, at)));
}

template <bool kLast, bool kMustExist>
Value find_text(Runtime& runtime, const Value& self, const Args& args) {
  const std::string_view method = kMustExist ? "index" : "find";
  const int64_t at = position_of(runtime, method, self, args, kLast);
  if (at < 0 && kMustExist) runtime.fail("the substring was not found");
  return at;
}

Value count(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "count", args, {"", "", ""}, 1);
  const Str& part = text_argument(runtime, "count", *bound[0]);
  const Window view = window(runtime, "count", *as_str(self), bound[1], bound[2]);
  if (!view.valid) return int64_t{0};
  if (part.text.empty()) return static_cast<int64_t>(count_code_points(view.text)) + 1;
  int64_t found = 0;
  for (size_t at = 0; (at = view.text.find(part.text, at)) != std::string_view::npos; at += part.text.size()) ++found;
  return found;
}

template <bool kAtStart>
Value begins_or_ends(Runtime& runtime, const Value& self, const Args& args) {
  const std::string_view method = kAtStart ? "startswith" : "endswith";
  const Bound bound = bind(runtime, method, args, {"", "", ""}, 1);
  const Window view = window(runtime, method, *as_str(self), bound[1], bound[2]);
  const auto matches = [&](const Value& value) {
    const Str& part = text_argument(runtime, method, value);
    return view.valid && (kAtStart ? view.text.starts_with(part.text) : view.text.ends_with(part.text));
  };
  const List* choices = as_list(*bound[0]);
  if (choices == nullptr || !choices->is_tuple) return matches(*bound[0]);
  return std::any_of(choices->items.begin(), choices->items.end(), matches);
}

Value replace(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "replace", args, {"", "", ""}, 2);
  const Str& text = *as_str(self);
  const std::string& from = text_argument(runtime, "replace", *bound[0]).text;
  const Str& replacement = text_argument(runtime, "replace", *bound[1]);
  const std::string to = text.markup && !replacement.markup ? escape_html(replacement.text) : replacement.text;
  int64_t left = int_argument(runtime, "replace", bound[2], -1);
  if (left < 0) left = INT64_MAX;
  runtime.budget.work_bytes(text.text.size());
  Text out(runtime);
  const std::string_view source = text.text;
  size_t pos = 0;
  while (left > 0) {
    const size_t at = source.find(from, pos);
    if (at == std::string_view::npos) break;
    runtime.budget.work();
    --left;
    out.append(source.substr(pos, at - pos));
    out.append(to);
    pos = at + from.size();
    if (!from.empty()) continue;
    if (pos == source.size()) break;
    const size_t start = pos;
    next_code_point(source, pos);
    out.append(source.substr(start, pos - start));
    if (pos == source.size() && left > 0) {
      out.append(to);
      break;
    }
  }
  out.append(source.substr(std::min(pos, source.size())));
  return out.finish(text.markup);
}

enum class Align { kLeft, kRight, kCenter };

template <Align kAlign>
Value padded(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "padding", args, {"", ""}, 1);
  const Str& text = *as_str(self);
  const std::string fill = bound[1] == nullptr ? " " : text_argument(runtime, "padding", *bound[1]).text;
  if (count_code_points(fill) != 1) runtime.fail("padding expects one character to fill with");
  const auto size = static_cast<int64_t>(text.length);
  const int64_t width = int_argument(runtime, "padding", bound[0], 0);
  if (width <= size) return runtime.str(text.text, text.markup);
  const int64_t total = width - size;
  // Python's choice of the side that gets the odd one.
  const int64_t left = kAlign == Align::kLeft ? 0 : kAlign == Align::kRight ? total : total / 2 + (total & width & 1);
  Text out(runtime);
  const Value unit = runtime.str(fill);
  out.append_value(runtime.arithmetic(Arithmetic::kMultiply, unit, left));
  out.append(text.text);
  out.append_value(runtime.arithmetic(Arithmetic::kMultiply, unit, total - left));
  return out.finish(text.markup);
}

Value zero_fill(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "zfill", args, {""}, 1);
  const Str& text = *as_str(self);
  const int64_t missing = int_argument(runtime, "zfill", bound[0], 0) - static_cast<int64_t>(text.length);
  if (missing <= 0) return runtime.str(text.text, text.markup);
  const bool has_sign = !text.text.empty() && (text.text[0] == '-' || text.text[0] == '+');
  Text out(runtime);
  if (has_sign) out.append(text.text[0]);
  out.append_value(runtime.arithmetic(Arithmetic::kMultiply, runtime.str("0"), missing));
  out.append(std::string_view(text.text).substr(has_sign ? 1 : 0));
  return out.finish(text.markup);
}

Value expand_tabs(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "expandtabs", args, {"tabsize"}, 0);
  const int64_t width = int_argument(runtime, "expandtabs", bound[0], 8);
  const Str& text = *as_str(self);
  Text out(runtime);
  int64_t column = 0;
  for (size_t pos = 0; pos < text.text.size();) {
    runtime.budget.work_bytes(64);
    const size_t start = pos;
    const char32_t code = next_code_point(text.text, pos);
    if (code != '\t') {
      out.append(std::string_view(text.text).substr(start, pos - start));
      column = code == '\n' || code == '\r' ? 0 : column + 1;
    } else if (width > 0) {
      const int64_t spaces = width - column % width;
      out.append_value(runtime.arithmetic(Arithmetic::kMultiply, runtime.str(" "), spaces));
      column += spaces;
    }
  }
  return out.finish(text.markup);
}

template <bool kPrefix>
Value remove_affix(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "removeprefix", args, {""}, 1);
  const Str& text = *as_str(self);
  const std::string& affix = text_argument(runtime, "removeprefix", *bound[0]).text;
  std::string_view kept = text.text;
  if (kPrefix && kept.starts_with(affix)) kept.remove_prefix(affix.size());
  if (!kPrefix && kept.ends_with(affix)) kept.remove_suffix(affix.size());
  return runtime.str(std::string(kept), text.markup);
}

constexpr MethodEntry kMethods[] = {
    {"capitalize", mapped<capitalize>},
    {"casefold", mapped<case_fold>},
    {"center", padded<Align::kCenter>},
    {"count", count},
    {"endswith", begins_or_ends</*kAtStart=*/false>},
    {"expandtabs", expand_tabs},
    {"find", find_text</*kLast=*/false, /*kMustExist=*/false>},
    {"format", format_braces},
    {"index", find_text</*kLast=*/false, /*kMustExist=*/true>},
    {"isalnum", of_class<CharClass::kAlnum>},
    {"isalpha", of_class<CharClass::kAlpha>},
    {"isascii", of_class<CharClass::kAscii>},
    {"isdecimal", of_class<CharClass::kDecimal>},
    {"isdigit", of_class<CharClass::kDigit>},
    {"isidentifier", tested<is_identifier>},
    {"islower", tested<is_lower>},
    {"isnumeric", of_class<CharClass::kNumeric>},
    {"isprintable", of_class<CharClass::kPrintable>},
    {"isspace", of_class<CharClass::kSpace>},
    {"istitle", tested<is_title>},
    {"isupper", tested<is_upper>},
    {"ljust", padded<Align::kLeft>},
    {"lower", mapped<to_lower>},
    {"lstrip", stripped</*kLeft=*/true, /*kRight=*/false>},
    {"removeprefix", remove_affix</*kPrefix=*/true>},
    {"removesuffix", remove_affix</*kPrefix=*/false>},
    {"replace", replace},
    {"rfind", find_text</*kLast=*/true, /*kMustExist=*/false>},
    {"rindex", find_text</*kLast=*/true, /*kMustExist=*/true>},
    {"rjust", padded<Align::kRight>},
    {"rstrip", stripped</*kLeft=*/false, /*kRight=*/true>},
    {"startswith", begins_or_ends</*kAtStart=*/true>},
    {"strip", stripped</*kLeft=*/true, /*kRight=*/true>},
    {"swapcase", mapped<swap_case>},
    {"title", mapped<title_case>},
    {"upper", mapped<to_upper>},
    {"zfill", zero_fill},
};

}  // namespace

std::span<const MethodEntry> string_methods() { return kMethods; }

}  // namespace citius::jinja
