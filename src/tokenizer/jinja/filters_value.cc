// Filters on single values: default, int, round, tojson, attr, ...
#include <cmath>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

Value absolute(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "abs", args, {}, 0);
  if (const double* number = std::get_if<double>(&self)) return std::fabs(*number);
  int64_t integer = 0;
  if (const Undefined* undefined = std::get_if<Undefined>(&self)) runtime.fail_undefined(*undefined);
  if (!get_int(self, integer)) runtime.fail("abs expects a number, got a {}", type_name(self));
  return integer < 0 ? runtime.negate(self) : Value(integer);
}

Value attribute(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "attr", args, {"name"}, 1);
  const StrPtr* name = std::get_if<StrPtr>(bound[0]);
  if (name == nullptr) runtime.fail("attr expects a string, got a {}", type_name(*bound[0]));
  // Methods and attributes only, never items.
  if (as_dict(self) != nullptr && find_method(self, (*name)->text) == nullptr) {
    return runtime.undefined_attribute(self, *name);
  }
  return runtime.get_attribute(self, *name);
}

Value default_value(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "default", args, {"default_value", "boolean"}, 0);
  const bool empty = is_undefined(self) || (bool_argument(runtime, bound[1], false) && !runtime.truthy(self));
  if (!empty) return self;
  return bound[0] == nullptr ? runtime.str("") : *bound[0];
}

/// The number of a value as float() sees it; empty where Python raises TypeError or ValueError.
std::optional<double> number_of(Runtime& runtime, const Value& value) {
  if (const Undefined* undefined = std::get_if<Undefined>(&value)) runtime.fail_undefined(*undefined);
  if (const double* number = std::get_if<double>(&value)) return *number;
  int64_t integer = 0;
  if (get_int(value, integer)) return static_cast<double>(integer);
  const Str* str = as_str(value);
  return str == nullptr ? std::nullopt : parse_float(str->text);
}

Value to_int(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "int", args, {"default", "base"}, 0);
  const Value fallback = bound[0] == nullptr ? Value(int64_t{0}) : *bound[0];
  int64_t integer = 0;
  if (get_int(self, integer)) return integer;
  if (const Str* str = as_str(self)) {
    runtime.budget.work_bytes(str->text.size());
    const int64_t base = int_argument(runtime, "int", bound[1], 10);
    if (base == 0 || (base >= 2 && base <= 36)) {
      bool overflow = false;
      const auto parsed = parse_int(str->text, static_cast<int>(base), overflow);
      if (parsed && overflow) runtime.fail("the integer does not fit into 64 bits");
      if (parsed) return *parsed;
    }
  }
  const auto number = number_of(runtime, self);
  if (as_str(self) == nullptr && number && std::isinf(*number)) runtime.fail("infinity is no integer");
  if (!number || !std::isfinite(*number)) return fallback;
  if (std::fabs(*number) >= 9.2233720368547748e18) runtime.fail("the integer does not fit into 64 bits");
  return static_cast<int64_t>(*number);
}

Value to_float(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "float", args, {"default"}, 0);
  const auto number = number_of(runtime, self);
  if (number) return *number;
  return bound[0] == nullptr ? Value(0.0) : *bound[0];
}

Value round_up_or_down(Runtime& runtime, const Value& self, int64_t precision, bool up) {
  const Value power = runtime.arithmetic(Arithmetic::kPower, int64_t{10}, precision);
  const Value scaled = runtime.arithmetic(Arithmetic::kMultiply, self, power);
  double number = 0;
  int64_t integer = 0;
  if (get_int(scaled, integer)) {
    number = static_cast<double>(integer);
  } else {
    number = up ? std::ceil(std::get<double>(scaled)) : std::floor(std::get<double>(scaled));
  }
  if (!std::isfinite(number)) runtime.fail("round cannot take {} to an integer", float_repr(number));
  return runtime.arithmetic(Arithmetic::kDivide, number, power);
}

Value round_value(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "round", args, {"precision", "method"}, 0);
  const std::string method = bound[1] == nullptr ? "common" : runtime.text(*bound[1]);
  if (method != "common" && method != "ceil" && method != "floor") {
    runtime.fail("round got the method '{}', expected common, ceil or floor", method);
  }
  if (const Undefined* undefined = std::get_if<Undefined>(&self)) runtime.fail_undefined(*undefined);
  if (!is_number(self)) runtime.fail("round expects a number, got a {}", type_name(self));
  const int64_t precision = int_argument(runtime, "round", bound[0], 0);
  if (method != "common") return round_up_or_down(runtime, self, precision, method == "ceil");
  int64_t integer = 0;
  if (!get_int(self, integer)) return round_decimal(std::get<double>(self), precision);
  if (precision >= 0) return integer;
  if (precision < -18) return int64_t{0};
  // Ties go to the even multiple of the unit.
  int64_t unit = 1;
  for (int64_t i = 0; i < -precision; ++i) unit *= 10;
  int64_t quotient = integer / unit, rest = integer % unit;
  if (rest < 0) {
    rest += unit;
    --quotient;
  }
  if (rest > unit - rest || (rest == unit - rest && (quotient & 1) != 0)) ++quotient;
  return runtime.arithmetic(Arithmetic::kMultiply, quotient, unit);
}

Value file_size(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "filesizeformat", args, {"binary"}, 0);
  const auto number = number_of(runtime, self);
  if (!number) runtime.fail("filesizeformat expects a number");
  const bool binary = bool_argument(runtime, bound[0], false);
  const double base = binary ? 1024 : 1000;
  if (*number == 1) return runtime.str("1 Byte");
  if (*number < base) return runtime.str(fmt::format("{} Bytes", static_cast<int64_t>(std::max(*number, -9e18))));
  constexpr std::string_view kPrefixes = "kMGTPEZY";
  double unit = base * base;
  size_t i = 0;
  for (; i + 1 < kPrefixes.size() && *number >= unit; ++i) unit *= base;
  const char prefix = binary && i == 0 ? 'K' : kPrefixes[i];
  return runtime.str(fmt::format("{:.1f} {}{}B", base * *number / unit, prefix, binary ? "i" : ""));
}

JsonStyle json_style(Runtime& runtime, const Bound& bound) {
  JsonStyle style;
  style.ensure_ascii = bool_argument(runtime, bound[0], false);
  style.sort_keys = bool_argument(runtime, bound[3], false);
  int64_t width = 0;
  if (bound[1] != nullptr && !is_none(*bound[1])) {
    if (const Str* text = as_str(*bound[1])) {
      style.indent = text->text;
    } else if (get_int(*bound[1], width)) {
      if (width > 1000) runtime.fail("tojson got an indent of {}, expected at most 1000", width);
      style.indent = std::string(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
    } else {
      runtime.fail("tojson expects a number or string as indent, got a {}", type_name(*bound[1]));
    }
  }
  style.item_separator = style.indent ? "," : ", ";
  style.key_separator = ": ";
  if (bound[2] != nullptr && !is_none(*bound[2])) {
    const std::vector<Value> pair = runtime.to_vector(*bound[2]);
    if (pair.size() != 2 || as_str(pair[0]) == nullptr || as_str(pair[1]) == nullptr) {
      runtime.fail("tojson expects two strings as separators");
    }
    style.item_separator = as_str(pair[0])->text;
    style.key_separator = as_str(pair[1])->text;
  }
  return style;
}

Value to_json(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "tojson", args, {"ensure_ascii", "indent", "separators", "sort_keys"}, 0);
  return dump_json(runtime, self, json_style(runtime, bound));
}

constexpr FilterEntry kFilters[] = {
    {"abs", absolute},   {"attr", attribute}, {"d", default_value},   {"default", default_value}, {"filesizeformat", file_size},
    {"float", to_float}, {"int", to_int},     {"round", round_value}, {"tojson", to_json},
};

}  // namespace

std::span<const FilterEntry> value_filters() { return kFilters; }

}  // namespace citius::jinja
