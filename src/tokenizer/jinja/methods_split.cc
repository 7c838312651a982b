// Methods of str that take texts apart and put them together, and the methods of dicts, lists and tuples.
#include <algorithm>
#include <bit>
#include <cmath>

#include "tokenizer/jinja/methods.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

/// Pieces between runs of white space, at most `limit` cuts; what is left keeps its white space.
std::vector<std::string_view> split_space(std::string_view text, int64_t limit) {
  std::vector<std::string_view> pieces;
  text = strip(text, std::nullopt, /*left=*/true, /*right=*/false);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<int64_t>(pieces.size()) == limit) {
      pieces.push_back(text);
      return pieces;
    }
    size_t end = 0;
    while (end < text.size()) {
      size_t after = end;
      if (is_space(next_code_point(text, after))) break;
      end = after;
    }
    pieces.push_back(text.substr(0, end));
    text = strip(text.substr(end), std::nullopt, /*left=*/true, /*right=*/false);
  }
  return pieces;
}

std::vector<std::string_view> split_space_from_right(std::string_view text, int64_t limit) {
  std::vector<std::string_view> pieces;
  text = strip(text, std::nullopt, /*left=*/false, /*right=*/true);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<int64_t>(pieces.size()) == limit) {
      pieces.push_back(text);
      break;
    }
    size_t begin = text.size();
    while (begin > 0) {
      size_t start = begin - 1;
      while (start > 0 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
      size_t pos = start;
      if (is_space(next_code_point(text, pos))) break;
      begin = start;
    }
    pieces.push_back(text.substr(begin));
    text = strip(text.substr(0, begin), std::nullopt, /*left=*/false, /*right=*/true);
  }
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view mark, int64_t limit, bool from_right) {
  std::vector<std::string_view> pieces;
  while (limit < 0 || static_cast<int64_t>(pieces.size()) < limit) {
    const size_t at = from_right ? text.rfind(mark) : text.find(mark);
    if (at == std::string_view::npos) break;
    pieces.push_back(from_right ? text.substr(at + mark.size()) : text.substr(0, at));
    text = from_right ? text.substr(0, at) : text.substr(at + mark.size());
  }
  pieces.push_back(text);
  if (from_right) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

Value to_list(Runtime& runtime, const std::vector<std::string_view>& pieces, bool markup) {
  Items items(runtime);
  for (const std::string_view piece : pieces) items.push(runtime.str(std::string(piece), markup));
  return items.finish();
}

template <bool kFromRight>
Value split(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "split", args, {"sep", "maxsplit"}, 0);
  const Str& text = *as_str(self);
  const int64_t limit = int_argument(runtime, "split", bound[1], -1);
  runtime.budget.work(text.text.size() / 16);
  if (bound[0] == nullptr || is_none(*bound[0])) {
    return to_list(runtime, kFromRight ? split_space_from_right(text.text, limit) : split_space(text.text, limit), text.markup);
  }
  const std::string& mark = text_argument(runtime, "split", *bound[0]).text;
  if (mark.empty()) runtime.fail("split expects a separator that is not empty");
  return to_list(runtime, split_at(text.text, mark, limit, kFromRight), text.markup);
}

Value lines(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "splitlines", args, {"keepends"}, 0);
  const Str& text = *as_str(self);
  runtime.budget.work(text.text.size() / 16);
  return to_list(runtime, split_lines(text.text, bool_argument(runtime, bound[0], false)), text.markup);
}

template <bool kFromRight>
Value partition(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "partition", args, {""}, 1);
  const Str& text = *as_str(self);
  const std::string& mark = text_argument(runtime, "partition", *bound[0]).text;
  if (mark.empty()) runtime.fail("partition expects a separator that is not empty");
  runtime.budget.work_bytes(text.text.size());
  const size_t at = kFromRight ? text.text.rfind(mark) : text.text.find(mark);
  std::string parts[3];
  if (at != std::string::npos) {
    parts[0] = text.text.substr(0, at);
    parts[1] = mark;
    parts[2] = text.text.substr(at + mark.size());
  } else {
    parts[kFromRight ? 2 : 0] = text.text;
  }
  Items items(runtime);
  for (std::string& part : parts) items.push(runtime.str(std::move(part), text.markup));
  return items.finish(/*is_tuple=*/true);
}

Value join(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "join", args, {""}, 1);
  const Str& separator = *as_str(self);
  Text out(runtime);
  const Next next = runtime.iterate(*bound[0]);
  bool first = true;
  for (Value item; next(item); first = false) {
    if (!first) out.append(separator.text);
    const Str& text = text_argument(runtime, "join", item);
    out.append(separator.markup && !text.markup ? escape_html(text.text) : text.text);
  }
  return out.finish(separator.markup);
}

constexpr MethodEntry kStringMethods[] = {
    {"join", join},
    {"partition", partition</*kFromRight=*/false>},
    {"rpartition", partition</*kFromRight=*/true>},
    {"rsplit", split</*kFromRight=*/true>},
    {"split", split</*kFromRight=*/false>},
    {"splitlines", lines},
};

template <DictView::Kind kKind>
Value view(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "this method", args, {}, 0);
  return ObjectPtr(std::make_shared<DictView>(std::get<DictPtr>(self), kKind));
}

Value get(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "get", args, {"", ""}, 1);
  if (!runtime.hash(*bound[0])) runtime.fail("a {} cannot be a key", type_name(*bound[0]));
  if (const Value* found = runtime.find(*as_dict(self), *bound[0])) return *found;
  return bound[1] == nullptr ? Value(None{}) : *bound[1];
}

Value copy(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "copy", args, {}, 0);
  return self;  // values never change, so that a copy is the same
}

constexpr MethodEntry kDictMethods[] = {
    {"copy", copy},
    {"get", get},
    {"items", view<DictView::Kind::kItems>},
    {"keys", view<DictView::Kind::kKeys>},
    {"values", view<DictView::Kind::kValues>},
};

Value count(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "count", args, {""}, 1);
  int64_t found = 0;
  for (const Value& item : as_list(self)->items) found += runtime.equals(item, *bound[0]) ? 1 : 0;
  return found;
}

Value index(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "index", args, {"", "", ""}, 1);
  const auto& items = as_list(self)->items;
  const auto size = static_cast<int64_t>(items.size());
  const auto position = [&](const Value* value, int64_t fallback) {
    const int64_t at = int_argument(runtime, "index", value, fallback);
    return at < 0 ? std::max<int64_t>(at < -size ? 0 : at + size, 0) : at;
  };
  const int64_t end = std::min(position(bound[2], size), size);
  for (int64_t i = position(bound[1], 0); i < end; ++i) {
    if (runtime.equals(items[static_cast<size_t>(i)], *bound[0])) return i;
  }
  runtime.fail("the value is not in the {}", type_name(self));
}

constexpr MethodEntry kListMethods[] = {{"copy", copy}, {"count", count}, {"index", index}};
constexpr MethodEntry kTupleMethods[] = {{"count", count}, {"index", index}};

Value is_integer(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "is_integer", args, {}, 0);
  return std::trunc(std::get<double>(self)) == std::get<double>(self);
}

Value bit_length(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "bit_length", args, {}, 0);
  int64_t number = 0;
  get_int(self, number);
  const uint64_t magnitude = number < 0 ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
  return static_cast<int64_t>(std::bit_width(magnitude));
}

/// range.index and range.count, which compare item by item.
template <bool kIndex>
Value range_search(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, kIndex ? "index" : "count", args, {""}, 1);
  const Next next = runtime.iterate(self);
  int64_t at = 0, found = 0;
  for (Value item; next(item); ++at) {
    if (!runtime.equals(item, *bound[0])) continue;
    if (kIndex) return at;
    ++found;
  }
  if (kIndex) runtime.fail("the value is not in the range");
  return found;
}

constexpr MethodEntry kFloatMethods[] = {{"is_integer", is_integer}};
constexpr MethodEntry kIntMethods[] = {{"bit_length", bit_length}};

constexpr std::string_view kForbiddenDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
constexpr std::string_view kForbiddenList[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};

}  // namespace

std::span<const MethodEntry> string_split_methods() { return kStringMethods; }

bool Range::attribute(Runtime& /*runtime*/, const ObjectPtr& self, std::string_view name, Value& out) {
  if (name == "start" || name == "stop" || name == "step") {
    out = name == "start" ? start : name == "stop" ? stop : step;
  } else if (name == "index" || name == "count") {
    out = ObjectPtr(std::make_shared<Method>(self, name == "index" ? range_search<true> : range_search<false>));
  } else {
    return false;
  }
  return true;
}

NativeFunction find_method(const Value& self, std::string_view name) {
  const auto search = [&](std::span<const MethodEntry> table) -> NativeFunction {
    const auto found = std::find_if(table.begin(), table.end(), [&](const auto& entry) { return entry.name == name; });
    return found == table.end() ? nullptr : found->function;
  };
  if (as_str(self) != nullptr) {
    const NativeFunction method = search(string_methods());
    return method != nullptr ? method : search(string_split_methods());
  }
  if (as_dict(self) != nullptr) return search(kDictMethods);
  if (is_number(self)) return search(std::holds_alternative<double>(self) ? std::span<const MethodEntry>(kFloatMethods) : kIntMethods);
  const List* list = as_list(self);
  if (list == nullptr) return nullptr;
  return list->is_tuple ? search(kTupleMethods) : search(kListMethods);
}

bool is_forbidden_method(const Value& self, std::string_view name) {
  const auto among = [&](const auto& names) { return std::find(std::begin(names), std::end(names), name) != std::end(names); };
  if (as_dict(self) != nullptr) return among(kForbiddenDict);
  const List* list = as_list(self);
  return list != nullptr && !list->is_tuple && among(kForbiddenList);
}

}  // namespace citius::jinja
