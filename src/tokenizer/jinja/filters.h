// The filters by what they work on; each file of filters gives its table. find_filter() looks through all of them.
#pragma once

#include <span>
#include <string_view>

#include "tokenizer/jinja/runtime.h"

namespace citius::jinja {

struct FilterEntry {
  std::string_view name;
  NativeFunction function;
};

std::span<const FilterEntry> text_filters();
std::span<const FilterEntry> value_filters();
std::span<const FilterEntry> sequence_filters();
std::span<const FilterEntry> sorting_filters();

/// What Jinja calls a soft str: a str (or markup) as it is, anything else as str() gives it.
StrPtr soft_str(Runtime& runtime, const Value& value);
/// `text` where `value` was text that the filter kept as markup.
inline bool is_markup(const Value& value) { return as_str(value) != nullptr && as_str(value)->markup; }
/// `value` in lower case where it is text, as the filters without `case_sensitive` compare.
Value ignore_case(Runtime& runtime, const Value& value);

}  // namespace citius::jinja
