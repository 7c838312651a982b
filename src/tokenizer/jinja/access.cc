// Attributes, items, slices and arguments. As in Python, `a.b` prefers methods to items and `a['b']` items to methods;
// what is missing is undefined, not an error.
#include <algorithm>

#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/runtime.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

constexpr const char* kUnsafe = "this attribute is not available to templates";

Undefined unsafe_attribute(const StrPtr& name) { return Undefined{name, nullptr, kUnsafe}; }

}  // namespace

bool Runtime::find_attribute(const Value& object, std::string_view name, Value& out) {
  if (const NativeFunction method = find_method(object, name)) {
    out = ObjectPtr(std::make_shared<Method>(object, method));
    return true;
  }
  if (is_number(object)) {
    const bool is_float = std::holds_alternative<double>(object);
    if (name == "real" || (name == "numerator" && !is_float)) {
      out = is_float ? object : plus(object);
    } else if (name == "imag") {
      out = is_float ? Value(0.0) : Value(int64_t{0});
    } else if (name == "denominator" && !is_float) {
      out = int64_t{1};
    } else {
      return false;
    }
    return true;
  }
  if (const List* list = as_list(object); list != nullptr && list->is_group) {
    if (name != "grouper" && name != "list") return false;
    out = list->items[name == "list" ? 1 : 0];
    return true;
  }
  if (const ObjectPtr* pointer = std::get_if<ObjectPtr>(&object)) {
    return (*pointer)->attribute(*this, *pointer, name, out);
  }
  return false;
}

Value Runtime::get_attribute(const Value& object, const StrPtr& name) {
  budget.work();
  if (const Undefined* undefined = std::get_if<Undefined>(&object)) fail_undefined(*undefined);
  if (is_forbidden_method(object, name->text)) return unsafe_attribute(name);
  Value out;
  if (find_attribute(object, name->text, out)) return out;
  if (const Dict* dict = as_dict(object)) {
    if (const Value* found = find(*dict, name)) return *found;
  }
  if (name->text.starts_with("__")) return unsafe_attribute(name);
  return undefined_attribute(object, name);
}

Value Runtime::get_item(const Value& object, const Value& key) {
  budget.work();
  if (const Undefined* undefined = std::get_if<Undefined>(&object)) fail_undefined(*undefined);
  if (const Dict* dict = as_dict(object)) {
    if (hash(key)) {
      if (const Value* found = find(*dict, key)) return *found;
    }
  }
  int64_t index = 0;
  if (get_int(key, index)) {
    const auto size = as_dict(object) != nullptr ? std::nullopt : length(object);
    const auto* range = as_object<Range>(object);
    if (size && index < 0) index += *size;
    if (size && index >= 0 && index < *size) {
      if (const List* list = as_list(object)) return list->items[static_cast<size_t>(index)];
      if (range != nullptr) return range->start + index * range->step;
      if (const Str* text = as_str(object)) {
        budget.work_bytes(text->text.size());
        const auto at = static_cast<size_t>(index);
        size_t begin = text->ascii() ? at : byte_offset(text->text, at);
        size_t end = begin;
        next_code_point(text->text, end);
        return str(text->text.substr(begin, end - begin), text->markup);
      }
    }
  } else if (const StrPtr* name = std::get_if<StrPtr>(&key)) {
    if (is_forbidden_method(object, (*name)->text)) return unsafe_attribute(*name);
    Value out;
    if (find_attribute(object, (*name)->text, out)) return out;
  }
  return undefined_attribute(object, key);
}

namespace {

struct SliceBounds {
  int64_t start, stop, step;
};

/// What Python's slice.indices(size) gives.
SliceBounds slice_bounds(Runtime& runtime, int64_t size, const Value& start, const Value& stop, const Value& step) {
  const auto read = [&](const Value& value, int64_t fallback) {
    int64_t out = fallback;
    if (const Undefined* undefined = std::get_if<Undefined>(&value)) runtime.fail_undefined(*undefined);
    if (!is_none(value) && !get_int(value, out)) {
      runtime.fail("a slice is made of integers, got a {}", type_name(value));
    }
    return out;
  };
  SliceBounds bounds{};
  bounds.step = std::max<int64_t>(read(step, 1), -INT64_MAX);
  if (bounds.step == 0) runtime.fail("the step of a slice cannot be zero");
  const int64_t lowest = bounds.step < 0 ? -1 : 0;
  const int64_t highest = bounds.step < 0 ? size - 1 : size;
  const auto clamp = [&](int64_t at) {
    if (at < 0) at = at < -size ? -size - 1 : at;
    return std::clamp(at < 0 ? at + size : at, lowest, highest);
  };
  bounds.start = is_none(start) ? (bounds.step < 0 ? highest : lowest) : clamp(read(start, 0));
  bounds.stop = is_none(stop) ? (bounds.step < 0 ? lowest : highest) : clamp(read(stop, 0));
  return bounds;
}

int64_t bounds_size(const SliceBounds& bounds) { return Range(bounds.start, bounds.stop, bounds.step).size(); }

Value slice_text(Runtime& runtime, const Str& text, const SliceBounds& bounds) {
  runtime.budget.work_bytes(text.text.size());
  const int64_t count = bounds_size(bounds);
  if (count == 0) return runtime.str("", text.markup);
  if (bounds.step == 1) {
    const auto first = static_cast<size_t>(bounds.start);
    const size_t begin = text.ascii() ? first : byte_offset(text.text, first);
    const std::string_view rest = std::string_view(text.text).substr(begin);
    const auto size = static_cast<size_t>(count);
    return runtime.str(std::string(rest.substr(0, text.ascii() ? size : byte_offset(rest, size))), text.markup);
  }
  runtime.budget.work(text.length / 8);
  Text out(runtime);
  const std::u32string points = to_code_points(text.text);
  for (int64_t i = 0, at = bounds.start; i < count; ++i) {
    std::string one;
    append_utf8(one, points[static_cast<size_t>(at)]);
    out.append(one);
    if (i + 1 < count) at += bounds.step;
  }
  return out.finish(text.markup);
}

}  // namespace

Value Runtime::slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
  budget.work();
  if (const Undefined* undefined = std::get_if<Undefined>(&object)) fail_undefined(*undefined);
  const List* list = as_list(object);
  const Str* text = as_str(object);
  const auto* range = as_object<Range>(object);
  if (list == nullptr && text == nullptr && range == nullptr) fail("a {} cannot be sliced", type_name(object));
  const SliceBounds bounds = slice_bounds(*this, *length(object), start, stop, step);
  if (text != nullptr) return slice_text(*this, *text, bounds);
  const int64_t count = bounds_size(bounds);
  if (range != nullptr) {
    int64_t scaled = 0;
    if (__builtin_mul_overflow(range->step, bounds.step, &scaled)) fail("the step of a slice is too large");
    return ObjectPtr(std::make_shared<Range>(range->start + bounds.start * range->step, range->start + bounds.stop * range->step, scaled));
  }
  Items items(*this);
  for (int64_t i = 0, at = bounds.start; i < count; ++i) {
    items.push(list->items[static_cast<size_t>(at)]);
    if (i + 1 < count) at += bounds.step;
  }
  return items.finish(list->is_tuple);
}

Bound bind(Runtime& runtime, std::string_view function, const Args& args, std::initializer_list<std::string_view> names, size_t required) {
  Bound bound{};
  if (args.positional.size() > names.size()) {
    runtime.fail("{} takes at most {} arguments, got {}", function, names.size(), args.positional.size());
  }
  for (size_t i = 0; i < args.positional.size(); ++i) bound[i] = &args.positional[i];
  for (const auto& [name, value] : args.keyword) {
    const auto* found = name.empty() ? names.end() : std::find(names.begin(), names.end(), name);
    if (found == names.end()) runtime.fail("{} takes no argument '{}'", function, name);
    const auto at = static_cast<size_t>(found - names.begin());
    if (bound[at] != nullptr) runtime.fail("{} got two values for '{}'", function, name);
    bound[at] = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (bound[i] == nullptr) runtime.fail("{} needs {} arguments", function, required);
  }
  return bound;
}

int64_t int_argument(Runtime& runtime, std::string_view function, const Value* value, int64_t fallback) {
  if (value == nullptr) return fallback;
  int64_t out = 0;
  if (const Undefined* undefined = std::get_if<Undefined>(value)) runtime.fail_undefined(*undefined);
  if (!get_int(*value, out)) runtime.fail("{} expects an integer, got a {}", function, type_name(*value));
  return out;
}

bool bool_argument(Runtime& runtime, const Value* value, bool fallback) { return value == nullptr ? fallback : runtime.truthy(*value); }

Value get_path(Runtime& runtime, Value item, const Value& path, const Value* fallback) {
  const auto step = [&](const Value& part) {
    item = runtime.get_item(item, part);
    if (fallback != nullptr && is_undefined(item)) item = *fallback;
  };
  if (is_none(path)) return item;
  const Str* text = as_str(path);
  if (text == nullptr) {
    step(path);
    return item;
  }
  std::string_view rest = text->text;
  while (true) {
    const size_t dot = rest.find('.');
    const std::string_view part = rest.substr(0, dot);
    bool overflow = false;
    const auto index = all_of_class(part, CharClass::kDigit) ? parse_int(part, 10, overflow) : std::nullopt;
    step(index && !overflow ? Value(*index) : runtime.str(std::string(part)));
    if (dot == std::string_view::npos) return item;
    rest.remove_prefix(dot + 1);
  }
}

}  // namespace citius::jinja
