// Tables of the methods that strings, dicts, lists and tuples have.
#pragma once

#include <span>
#include <string_view>

#include "tokenizer/jinja/runtime.h"

namespace citius::jinja {

struct MethodEntry {
  std::string_view name;
  NativeFunction function;
};

std::span<const MethodEntry> string_methods();        // case, classes, padding, searching, replacing
std::span<const MethodEntry> string_split_methods();  // split, join, partition, ...

/// The text argument of a method; an error where it is something else.
const Str& text_argument(Runtime& runtime, std::string_view method, const Value& value);
/// str.format(*args, **kwargs).
Value format_braces(Runtime& runtime, const Value& self, const Args& args);

}  // namespace citius::jinja
