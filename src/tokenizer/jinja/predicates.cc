// The tests that stand behind `is`.
#include <algorithm>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

struct TestEntry {
  std::string_view name;
  NativeTest test;
};

template <bool (*kTest)(const Value&)>
bool plain(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "this test", args, {}, 0);
  return kTest(self);
}

bool is_defined(const Value& value) { return !is_undefined(value); }
bool is_boolean(const Value& value) { return std::holds_alternative<bool>(value); }
bool is_true(const Value& value) { return is_boolean(value) && std::get<bool>(value); }
bool is_false(const Value& value) { return is_boolean(value) && !std::get<bool>(value); }
bool is_integer(const Value& value) { return std::holds_alternative<int64_t>(value); }
bool is_float(const Value& value) { return std::holds_alternative<double>(value); }
bool is_string(const Value& value) { return as_str(value) != nullptr; }
bool is_mapping(const Value& value) { return as_dict(value) != nullptr; }
bool is_sequence(const Value& value) {
  return as_str(value) != nullptr || as_list(value) != nullptr || as_dict(value) != nullptr || is_undefined(value) ||
         as_object<Range>(value) != nullptr;
}
bool is_callable(const Value& value) {
  const ObjectPtr* object = std::get_if<ObjectPtr>(&value);
  return is_undefined(value) || (object != nullptr && (*object)->callable());
}

bool is_iterable(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "iterable", args, {}, 0);
  return runtime.iterable(self);
}

bool remainder_is(Runtime& runtime, const Value& self, const Value& divisor, int64_t expected) {
  return runtime.equals(runtime.arithmetic(Arithmetic::kModulo, self, divisor), expected);
}

bool is_odd(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "odd", args, {}, 0);
  return remainder_is(runtime, self, int64_t{2}, 1);
}

bool is_even(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "even", args, {}, 0);
  return remainder_is(runtime, self, int64_t{2}, 0);
}

bool is_divisible(Runtime& runtime, const Value& self, const Args& args) {
  return remainder_is(runtime, self, *bind(runtime, "divisibleby", args, {"num"}, 1)[0], 0);
}

bool is_lower_text(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "lower", args, {}, 0);
  return is_lower(runtime.text(self));
}

bool is_upper_text(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "upper", args, {}, 0);
  return is_upper(runtime.text(self));
}

bool is_filter(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "filter", args, {}, 0);
  return as_str(self) != nullptr && find_filter(as_str(self)->text) != nullptr;
}

bool is_test(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "test", args, {}, 0);
  return as_str(self) != nullptr && find_test(as_str(self)->text) != nullptr;
}

bool is_same(Runtime& runtime, const Value& self, const Args& args) {
  const Value& other = *bind(runtime, "sameas", args, {"other"}, 1)[0];
  if (self.index() != other.index()) return false;
  if (const StrPtr* str = std::get_if<StrPtr>(&self)) return *str == std::get<StrPtr>(other);
  if (const ListPtr* list = std::get_if<ListPtr>(&self)) return *list == std::get<ListPtr>(other);
  if (const DictPtr* dict = std::get_if<DictPtr>(&self)) return *dict == std::get<DictPtr>(other);
  return runtime.equals(self, other);
}

bool is_in(Runtime& runtime, const Value& self, const Args& args) {
  return runtime.contains(*bind(runtime, "in", args, {"seq"}, 1)[0], self);
}

template <bool kEqual>
bool equals(Runtime& runtime, const Value& self, const Args& args) {
  return runtime.equals(self, *bind(runtime, "eq", args, {""}, 1)[0]) == kEqual;
}

template <Order kOrder>
bool ordered(Runtime& runtime, const Value& self, const Args& args) {
  return runtime.ordered(self, *bind(runtime, "a comparison", args, {""}, 1)[0], kOrder);
}

constexpr TestEntry kTests[] = {
    {"odd", is_odd},
    {"even", is_even},
    {"divisibleby", is_divisible},
    {"defined", plain<is_defined>},
    {"undefined", plain<is_undefined>},
    {"filter", is_filter},
    {"test", is_test},
    {"none", plain<is_none>},
    {"boolean", plain<is_boolean>},
    {"false", plain<is_false>},
    {"true", plain<is_true>},
    {"integer", plain<is_integer>},
    {"float", plain<is_float>},
    {"lower", is_lower_text},
    {"upper", is_upper_text},
    {"string", plain<is_string>},
    {"mapping", plain<is_mapping>},
    {"number", plain<is_number>},
    {"sequence", plain<is_sequence>},
    {"iterable", is_iterable},
    {"callable", plain<is_callable>},
    {"sameas", is_same},
    {"escaped", plain<is_markup>},
    {"in", is_in},
    {"==", equals<true>},
    {"eq", equals<true>},
    {"equalto", equals<true>},
    {"!=", equals<false>},
    {"ne", equals<false>},
    {">", ordered<Order::kGreater>},
    {"gt", ordered<Order::kGreater>},
    {"greaterthan", ordered<Order::kGreater>},
    {">=", ordered<Order::kGreaterEqual>},
    {"ge", ordered<Order::kGreaterEqual>},
    {"<", ordered<Order::kLess>},
    {"lt", ordered<Order::kLess>},
    {"lessthan", ordered<Order::kLess>},
    {"<=", ordered<Order::kLessEqual>},
    {"le", ordered<Order::kLessEqual>},
};

}  // namespace

NativeTest find_test(std::string_view name) {
  const auto* found = std::find_if(std::begin(kTests), std::end(kTests), [&](const auto& e) { return e.name == name; });
  return found == std::end(kTests) ? nullptr : found->test;
}

}  // namespace citius::jinja
