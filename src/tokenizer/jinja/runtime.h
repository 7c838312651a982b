// What one rendering of a template works with: its budget, the making of values, and Python's semantics of them (truth,
// equality, order, str and repr, iteration, attribute and item access). Errors are Error{kInput} and name the line.
#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tokenizer/jinja/value.h"

namespace citius::jinja {

enum class Order { kLess, kLessEqual, kGreater, kGreaterEqual };
enum class Arithmetic { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };

class Runtime {
 public:
  Runtime(size_t max_work, size_t max_bytes) : budget(max_work, max_bytes) {}

  Budget budget;

  template <typename... Arguments>
  [[noreturn]] void fail(fmt::format_string<Arguments...> format, Arguments&&... arguments) const {
    fail_input(fmt::format("chat template, line {}", budget.line), "{}", fmt::format(format, std::forward<Arguments>(arguments)...));
  }
  /// The error of using an undefined value.
  [[noreturn]] void fail_undefined(const Undefined& undefined) const;

  // Making values.
  Value str(std::string text, bool markup = false);
  Value list(std::vector<Value> items, bool is_tuple = false, bool is_group = false);
  Value dict(Dict&& dict);
  Value generator(Next next, int source_depth, std::string_view name = "generator");
  void set_item(Dict& dict, Value key, Value value);
  Undefined undefined_attribute(const Value& owner, const Value& name);

  // Asking about values.
  bool truthy(const Value& value);
  bool equals(const Value& a, const Value& b);
  bool ordered(const Value& a, const Value& b, Order order);
  bool contains(const Value& container, const Value& item);
  std::optional<int64_t> length(const Value& value);
  bool iterable(const Value& value);
  Next iterate(const Value& value);
  std::vector<Value> to_vector(const Value& value);
  const Value* find(const Dict& dict, const Value& key);
  /// Empty where the value cannot be a key.
  std::optional<size_t> hash(const Value& value);

  // Access.
  Value get_attribute(const Value& object, const StrPtr& name);
  Value get_item(const Value& object, const Value& key);
  Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);
  Value call(const Value& callee, Args& args);

  // Operators.
  Value arithmetic(Arithmetic op, const Value& a, const Value& b);
  Value negate(const Value& value);
  Value plus(const Value& value);
  /// `format % values` of strings.
  Value format_percent(const Str& format, const Value& values);

  // Text.
  /// str(value). Valid while `value` and `storage` live.
  std::string_view text(const Value& value, std::string& storage);
  std::string text(const Value& value);
  std::string repr(const Value& value);

 private:
  bool number_equals(const Value& a, const Value& b);
  Value integer_arithmetic(Arithmetic op, int64_t a, int64_t b);
  Value float_arithmetic(Arithmetic op, double a, double b);
  Value repeat(const Value& value, int64_t count);
  bool find_attribute(const Value& object, std::string_view name, Value& out);
};

/// Text under construction; what it holds is charged to the budget.
class Text {
 public:
  explicit Text(Runtime& runtime) : runtime_(runtime), hold_(&runtime.budget, 0) {}
  void append(std::string_view text) {
    runtime_.budget.work_bytes(text.size());
    if (text_.size() + text.size() > held_) grow(text.size());
    text_ += text;
  }
  void append(char c) { append(std::string_view(&c, 1)); }
  void append_value(const Value& value);
  void append_repr(const Value& value, int depth = 0);
  const std::string& view() const { return text_; }
  std::string take() { return std::move(text_); }
  /// A str of the text.
  Value finish(bool markup = false);

 private:
  void grow(size_t more);
  Runtime& runtime_;
  std::string text_;
  size_t held_ = 0;
  Hold hold_;
};

/// A list under construction, charged likewise.
class Items {
 public:
  explicit Items(Runtime& runtime) : runtime_(runtime), hold_(&runtime.budget, 0) {}
  void push(Value value) {
    runtime_.budget.work();
    if (items_.size() == held_) {
      hold_.grow((held_ + 16) * sizeof(Value));
      held_ += held_ + 16;
    }
    items_.push_back(std::move(value));
  }
  size_t size() const { return items_.size(); }
  std::vector<Value>& vector() { return items_; }
  Value finish(bool is_tuple = false);

 private:
  Runtime& runtime_;
  std::vector<Value> items_;
  size_t held_ = 0;
  Hold hold_;
};

/// Arguments by parameter, null where not given; see bind().
using Bound = std::array<const Value*, 6>;
/// Sorts `args` under the names of a function's parameters, the first `required` of which must be given. A name ""
/// takes no keyword. Throws what Python would: too many, missing, unknown or doubled arguments.
Bound bind(Runtime& runtime, std::string_view function, const Args& args, std::initializer_list<std::string_view> names, size_t required);
/// The integer (or truth) of an argument, or `fallback` where it is not given.
int64_t int_argument(Runtime& runtime, std::string_view function, const Value* value, int64_t fallback);
bool bool_argument(Runtime& runtime, const Value* value, bool fallback);

/// A built-in function: a filter gets its input as `self`, a method its object.
using NativeFunction = Value (*)(Runtime&, const Value& self, const Args& args);
using NativeTest = bool (*)(Runtime&, const Value& self, const Args& args);

/// A native function bound to an object.
struct Method : Object {
  Method(Value self, NativeFunction function) : self(std::move(self)), function(function) {}
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  int depth() const override { return depth_of(self) + 1; }
  bool callable() const override { return true; }
  Value call(Runtime& runtime, Args& args) override { return function(runtime, self, args); }
  Value self;
  NativeFunction function;
};

/// Null where there is none of that name.
NativeFunction find_filter(std::string_view name);
NativeTest find_test(std::string_view name);
/// Method of a str, list, tuple or dict.
NativeFunction find_method(const Value& self, std::string_view name);
/// Methods that would change a list or dict; the sandbox forbids them.
bool is_forbidden_method(const Value& self, std::string_view name);
/// Looks `item` up along a dotted path ("a.b.0") or an integer, as the filters with an `attribute` do.
Value get_path(Runtime& runtime, Value item, const Value& path, const Value* fallback = nullptr);

/// json.dumps as transformers configures it.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;
  std::string item_separator;
  std::string key_separator;
};
Value dump_json(Runtime& runtime, const Value& value, const JsonStyle& style);

}  // namespace citius::jinja
