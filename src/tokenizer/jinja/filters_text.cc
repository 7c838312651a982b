// Filters that make text of text: upper, trim, replace, indent, escape, ...
#include <algorithm>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {

StrPtr soft_str(Runtime& runtime, const Value& value) {
  if (const StrPtr* str = std::get_if<StrPtr>(&value)) return *str;
  return std::get<StrPtr>(runtime.str(runtime.text(value)));
}

Value ignore_case(Runtime& runtime, const Value& value) {
  const Str* str = as_str(value);
  if (str == nullptr) return value;
  runtime.budget.work_bytes(str->text.size() * 4);
  return runtime.str(to_lower(str->text));
}

namespace {

template <std::string (*kMap)(std::string_view)>
Value mapped(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "this filter", args, {}, 0);
  const StrPtr text = soft_str(runtime, self);
  runtime.budget.work_bytes(text->text.size() * 8);
  return runtime.str(kMap(text->text), text->markup);
}

/// Words begin after white space and opening brackets, unlike in str.title().
std::string title_words(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    const auto is_break = [](char32_t code) {
      return is_space(code) || code == '-' || code == '(' || code == '{' || code == '[' || code == '<';
    };
    size_t end = pos;
    const bool breaks = is_break(next_code_point(text, end));
    const size_t first_end = end;
    while (end < text.size()) {
      size_t after = end;
      if (is_break(next_code_point(text, after)) != breaks) break;
      end = after;
    }
    const std::string_view first = text.substr(pos, first_end - pos), rest = text.substr(first_end, end - first_end);
    out += to_upper(first);
    out += to_lower(rest);
    pos = end;
  }
  return out;
}

Value trim(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "trim", args, {"chars"}, 0);
  const StrPtr text = soft_str(runtime, self);
  runtime.budget.work_bytes(text->text.size());
  std::optional<std::string_view> chars;
  if (bound[0] != nullptr && !is_none(*bound[0])) {
    const Str* set = as_str(*bound[0]);
    if (set == nullptr) runtime.fail("trim expects a string, got a {}", type_name(*bound[0]));
    chars = set->text;
    runtime.budget.work(text->text.size() * set->text.size() / 64);
  }
  return runtime.str(std::string(strip(text->text, chars, /*left=*/true, /*right=*/true)), text->markup);
}

Value replace(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "replace", args, {"old", "new", "count"}, 2);
  const Value* count = bound[2];
  std::string storage[3];
  const Args plain{
      {runtime.str(std::string(runtime.text(*bound[0], storage[1]))), runtime.str(std::string(runtime.text(*bound[1], storage[2]))),
       count == nullptr || is_none(*count) ? Value(int64_t{-1}) : *count},
      {}};
  const Value text = runtime.str(std::string(runtime.text(self, storage[0])));
  return find_method(text, "replace")(runtime, text, plain);
}

Value center(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "center", args, {"width"}, 0);
  const Value text = soft_str(runtime, self);
  const Args width{{bound[0] == nullptr ? Value(int64_t{80}) : *bound[0]}, {}};
  return find_method(text, "center")(runtime, text, width);
}

Value indent(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "indent", args, {"width", "first", "blank"}, 0);
  const Str* text = as_str(self);
  if (const Undefined* undefined = std::get_if<Undefined>(&self)) runtime.fail_undefined(*undefined);
  if (text == nullptr) runtime.fail("indent expects a string, got a {}", type_name(self));
  std::string indention;
  if (bound[0] != nullptr && as_str(*bound[0]) != nullptr) {
    indention = as_str(*bound[0])->text;
    if (text->markup) indention = escape_html(indention);
  } else {
    const int64_t width = std::max<int64_t>(int_argument(runtime, "indent", bound[0], 4), 0);
    const Hold check(&runtime.budget, static_cast<size_t>(width));
    indention = std::string(static_cast<size_t>(width), ' ');
  }
  const bool blank = bool_argument(runtime, bound[2], false);
  runtime.budget.work(text->text.size() / 16);
  const std::string padded = text->text + "\n";
  const auto lines = split_lines(padded, /*keep_ends=*/false);
  Text out(runtime);
  if (bool_argument(runtime, bound[1], false)) out.append(indention);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out.append('\n');
    if (i > 0 && (blank || !lines[i].empty())) out.append(indention);
    out.append(lines[i]);
  }
  return out.finish(text->markup);
}

Value truncate(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "truncate", args, {"length", "killwords", "end", "leeway"}, 0);
  const int64_t length = int_argument(runtime, "truncate", bound[0], 255);
  const StrPtr end = bound[2] == nullptr ? nullptr : soft_str(runtime, *bound[2]);
  const std::string end_text = end ? end->text : "...";
  const bool no_leeway = bound[3] == nullptr || is_none(*bound[3]);
  const int64_t leeway = no_leeway ? 5 : int_argument(runtime, "truncate", bound[3], 5);
  const auto end_length = static_cast<int64_t>(count_code_points(end_text));
  if (length < end_length || leeway < 0) runtime.fail("truncate expects a length of at least {}", end_length);
  const auto size = runtime.length(self);
  if (size && (*size <= leeway || *size - leeway <= length)) return self;
  const Str* text = as_str(self);
  if (text == nullptr) runtime.fail("truncate expects a string, got a {}", type_name(self));
  runtime.budget.work_bytes(text->text.size());
  const auto keep = static_cast<size_t>(length - end_length);
  std::string_view kept = std::string_view(text->text).substr(0, byte_offset(text->text, keep));
  if (!bool_argument(runtime, bound[1], false)) kept = kept.substr(0, kept.rfind(' '));
  return runtime.str(std::string(kept) + end_text, text->markup);
}

Value escape(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "escape", args, {}, 0);
  if (is_markup(self)) return self;
  Text out(runtime);
  out.append(escape_html(runtime.text(self)));
  return out.finish(/*markup=*/true);
}

Value force_escape(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "forceescape", args, {}, 0);
  Text out(runtime);
  out.append(escape_html(runtime.text(self)));
  return out.finish(/*markup=*/true);
}

Value safe(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "safe", args, {}, 0);
  return runtime.str(runtime.text(self), /*markup=*/true);
}

Value string(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "string", args, {}, 0);
  return soft_str(runtime, self);
}

Value format(Runtime& runtime, const Value& self, const Args& args) {
  if (!args.positional.empty() && !args.keyword.empty()) {
    runtime.fail("format takes positional or keyword arguments, not both");
  }
  if (args.keyword.empty()) {
    return runtime.format_percent(*soft_str(runtime, self), runtime.list(args.positional, /*is_tuple=*/true));
  }
  Dict values;
  for (const auto& [name, value] : args.keyword) runtime.set_item(values, runtime.str(name), value);
  return runtime.format_percent(*soft_str(runtime, self), runtime.dict(std::move(values)));
}

Value word_count(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "wordcount", args, {}, 0);
  const StrPtr text = soft_str(runtime, self);
  runtime.budget.work(text->text.size() / 8);
  int64_t count = 0;
  bool in_word = false;
  for (size_t pos = 0; pos < text->text.size();) {
    const bool word = is_word(next_code_point(text->text, pos));
    count += word && !in_word ? 1 : 0;
    in_word = word;
  }
  return count;
}

std::string percent_encoded(std::string_view text, std::string_view also_safe, bool plus) {
  std::string out;
  for (const char c : text) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alnum || std::string_view("_.-~").find(c) != std::string_view::npos || also_safe.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else if (plus && c == ' ') {
      out.push_back('+');
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

Value url_encode(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "urlencode", args, {}, 0);
  Text out(runtime);
  if (as_str(self) != nullptr || !runtime.iterable(self)) {
    out.append(percent_encoded(runtime.text(self), "/", /*plus=*/false));
    return out.finish();
  }
  std::vector<std::pair<Value, Value>> pairs;
  if (const Dict* dict = as_dict(self)) {
    pairs = dict->items;
  } else {
    for (const Value& item : runtime.to_vector(self)) {
      const std::vector<Value> pair = runtime.to_vector(item);
      if (pair.size() != 2) runtime.fail("urlencode expects pairs, got {} values", pair.size());
      pairs.emplace_back(pair[0], pair[1]);
    }
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (i > 0) out.append('&');
    out.append(percent_encoded(runtime.text(pairs[i].first), "", /*plus=*/true));
    out.append('=');
    out.append(percent_encoded(runtime.text(pairs[i].second), "", /*plus=*/true));
  }
  return out.finish();
}

constexpr FilterEntry kFilters[] = {
    {"capitalize", mapped<capitalize>},
    {"center", center},
    {"e", escape},
    {"escape", escape},
    {"forceescape", force_escape},
    {"format", format},
    {"indent", indent},
    {"lower", mapped<to_lower>},
    {"replace", replace},
    {"safe", safe},
    {"string", string},
    {"title", mapped<title_words>},
    {"trim", trim},
    {"truncate", truncate},
    {"upper", mapped<to_upper>},
    {"urlencode", url_encode},
    {"wordcount", word_count},
};

}  // namespace

std::span<const FilterEntry> text_filters() { return kFilters; }

NativeFunction find_filter(std::string_view name) {
  for (const auto table : {text_filters(), value_filters(), sequence_filters(), sorting_filters()}) {
    const auto found = std::find_if(table.begin(), table.end(), [&](const auto& entry) { return entry.name == name; });
    if (found != table.end()) return found->function;
  }
  return nullptr;
}

}  // namespace citius::jinja
