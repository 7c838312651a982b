#include "tokenizer/jinja/value.h"

#include <algorithm>

#include "base/error.h"

namespace citius::jinja {

void Budget::hold(size_t bytes) {
  if (bytes > max_bytes_ || held_ > max_bytes_ - bytes) {
    fail_input(fmt::format("chat template, line {}", line),
               "needs more memory than a template may use, got {} bytes beside {} in use, expected at most {}", bytes, held_, max_bytes_);
  }
  held_ += bytes;
}

void Budget::fail_work() const {
  fail_input(fmt::format("chat template, line {}", line),
             "does more work than a template may, expected at most {} steps; a loop without end?", max_work_);
}

const Value* Dict::find(std::string_view key) const {
  if (index.empty()) {
    for (const auto& [name, value] : items) {
      const Str* str = as_str(name);
      if (str != nullptr && str->text == key) return &value;
    }
    return nullptr;
  }
  auto [begin, end] = index.equal_range(std::hash<std::string_view>()(key));
  for (auto it = begin; it != end; ++it) {
    const Str* str = as_str(items[it->second].first);
    if (str != nullptr && str->text == key) return &items[it->second].second;
  }
  return nullptr;
}

bool get_int(const Value& value, int64_t& out) {
  if (const int64_t* number = std::get_if<int64_t>(&value)) {
    out = *number;
    return true;
  }
  if (const bool* flag = std::get_if<bool>(&value)) {
    out = *flag ? 1 : 0;
    return true;
  }
  return false;
}

std::string_view type_name(const Value& value) {
  if (const ObjectPtr* object = std::get_if<ObjectPtr>(&value)) return (*object)->type_name();
  if (const List* list = as_list(value)) return list->is_tuple ? "tuple" : "list";
  if (const Str* str = as_str(value)) return str->markup ? "Markup" : "str";
  static constexpr std::string_view kNames[] = {"Undefined", "NoneType", "bool", "int", "float"};
  return as_dict(value) != nullptr ? "dict" : kNames[value.index()];
}

int depth_of(const Value& value) {
  if (const List* list = as_list(value)) return list->depth;
  if (const Dict* dict = as_dict(value)) return dict->depth;
  if (const ObjectPtr* object = std::get_if<ObjectPtr>(&value)) return (*object)->depth();
  return 0;
}

int64_t Range::size() const {
  // Computed in unsigned arithmetic: the distance of two int64 does not overflow uint64.
  if (step > 0) {
    if (start >= stop) return 0;
    const uint64_t distance = static_cast<uint64_t>(stop) - static_cast<uint64_t>(start) - 1;
    return static_cast<int64_t>(std::min<uint64_t>(distance / static_cast<uint64_t>(step), INT64_MAX - 1) + 1);
  }
  if (start <= stop) return 0;
  const uint64_t distance = static_cast<uint64_t>(start) - static_cast<uint64_t>(stop) - 1;
  const uint64_t magnitude = 0 - static_cast<uint64_t>(step);
  return static_cast<int64_t>(std::min<uint64_t>(distance / magnitude, INT64_MAX - 1) + 1);
}

std::string_view DictView::type_name() const {
  if (kind == Kind::kKeys) return "dict_keys";
  return kind == Kind::kValues ? "dict_values" : "dict_items";
}

}  // namespace citius::jinja
