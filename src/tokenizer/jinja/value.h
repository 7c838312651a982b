// The values that a chat template computes with, after Python's: undefined, None, bool, int, float, str, list, tuple,
// dict and a few objects (range, generators, macros, ...). Lists, tuples, dicts and strings never change once made,
// because the sandbox that transformers uses forbids it; only namespaces, loops and generators have state. Every value
// that owns memory reports it to the Budget of the rendering it belongs to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace citius::jinja {

/// Deepest nesting of lists, dicts and generators. It also bounds the recursion of everything that walks values.
inline constexpr int kMaxValueDepth = 128;

/// What one rendering may still use. Work counts evaluated nodes, items and copied bytes; memory counts what is alive.
class Budget {
 public:
  Budget(size_t max_work, size_t max_bytes) : max_work_(max_work), max_bytes_(max_bytes) {}
  Budget(const Budget&) = delete;
  Budget& operator=(const Budget&) = delete;

  /// Throws Error{kInput} when the template has done more than it may.
  void work(size_t amount = 1) {
    work_ += amount;
    if (work_ > max_work_) fail_work();
  }
  /// Work for looking at or copying `bytes` bytes.
  void work_bytes(size_t bytes) { work(bytes / 256); }
  void hold(size_t bytes);
  void release(size_t bytes) noexcept { held_ -= bytes; }
  size_t held() const { return held_; }

  /// Where the rendering stands, for messages.
  int line = 0;

 private:
  [[noreturn]] void fail_work() const;
  size_t max_work_;
  size_t max_bytes_;
  size_t work_ = 0;
  size_t held_ = 0;
};

/// A part of the budget's memory, given back on destruction. The budget must outlive it.
class Hold {
 public:
  Hold() = default;
  Hold(Budget* budget, size_t bytes) : budget_(budget), bytes_(bytes) {
    if (budget_ != nullptr) budget_->hold(bytes_);
  }
  Hold(Hold&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Hold& operator=(Hold&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Hold() {
    if (budget_ != nullptr) budget_->release(bytes_);
  }
  void grow(size_t bytes) {
    if (budget_ == nullptr) return;
    budget_->hold(bytes);
    bytes_ += bytes;
  }

 private:
  Budget* budget_ = nullptr;
  size_t bytes_ = 0;
};

struct Str;
struct List;
struct Dict;

class Object;
class Runtime;
struct Args;

using StrPtr = std::shared_ptr<const Str>;
using ListPtr = std::shared_ptr<const List>;
using DictPtr = std::shared_ptr<const Dict>;
using ObjectPtr = std::shared_ptr<Object>;

/// The result of looking up what is not there. It prints as nothing; most uses of it are errors, which name it.
struct Undefined {
  StrPtr name;                  // variable, attribute or element; may be null
  const char* owner = nullptr;  // type of the object without that attribute, or null for a variable
  const char* hint = nullptr;   // a message that replaces the usual one
};
struct None {};

using Value = std::variant<Undefined, None, bool, int64_t, double, StrPtr, ListPtr, DictPtr, ObjectPtr>;

/// Anything callable, lazy or with state.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string_view type_name() const = 0;
  /// Nesting of the values it holds; see kMaxValueDepth.
  virtual int depth() const { return 1; }
  virtual std::string repr() const { return "<" + std::string(type_name()) + ">"; }
  /// Looks up `self.name`, where `self` is this object; false where there is no such attribute.
  virtual bool attribute(Runtime&, const ObjectPtr& /*self*/, std::string_view /*name*/, Value& /*out*/) { return false; }
  /// len(), or none where the type has no length.
  virtual std::optional<int64_t> length(Runtime&) { return std::nullopt; }
  virtual bool callable() const { return false; }
  virtual Value call(Runtime&, Args&) { return None{}; }
};

/// Pulls the next item of an iteration; false at the end.
using Next = std::function<bool(Value&)>;

/// Text in valid UTF-8. `markup` marks what the filters `safe` and `escape` return.
struct Str {
  std::string text;
  size_t length = 0;  // in code points
  bool markup = false;
  Hold hold;

  bool ascii() const { return length == text.size(); }
};

/// A list or a tuple.
struct List {
  std::vector<Value> items;
  bool is_tuple = false;
  bool is_group = false;  // a pair of the filter groupby: has .grouper and .list too
  int depth = 1;
  Hold hold;
};

/// A dict in insertion order. Keys are compared as Python does: 1, 1.0 and True are one key.
struct Dict {
  std::vector<std::pair<Value, Value>> items;
  std::unordered_multimap<size_t, uint32_t> index;  // hash of key → place in items; kept from the ninth item on
  int depth = 1;
  Hold hold;

  /// Value of a text key, or null.
  const Value* find(std::string_view key) const;
};

// Shorthand for asking what a value is.
inline bool is_undefined(const Value& value) { return std::holds_alternative<Undefined>(value); }
inline bool is_none(const Value& value) { return std::holds_alternative<None>(value); }
inline const Str* as_str(const Value& value) {
  const StrPtr* str = std::get_if<StrPtr>(&value);
  return str == nullptr ? nullptr : str->get();
}
inline const List* as_list(const Value& value) {
  const ListPtr* list = std::get_if<ListPtr>(&value);
  return list == nullptr ? nullptr : list->get();
}
inline const Dict* as_dict(const Value& value) {
  const DictPtr* dict = std::get_if<DictPtr>(&value);
  return dict == nullptr ? nullptr : dict->get();
}
template <typename T>
T* as_object(const Value& value) {
  const ObjectPtr* object = std::get_if<ObjectPtr>(&value);
  return object == nullptr ? nullptr : dynamic_cast<T*>(object->get());
}
/// The integer of an int or bool.
bool get_int(const Value& value, int64_t& out);
inline bool is_number(const Value& value) {
  return std::holds_alternative<bool>(value) || std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value);
}
/// Python's name of the type: "str", "NoneType", "dict", ...
std::string_view type_name(const Value& value);
int depth_of(const Value& value);

/// Arguments of a call, filter or test.
struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keyword;
};

struct Range : Object {
  Range(int64_t start, int64_t stop, int64_t step) : start(start), stop(stop), step(step) {}
  std::string_view type_name() const override { return "range"; }
  bool attribute(Runtime& runtime, const ObjectPtr& self, std::string_view name, Value& out) override;
  int64_t size() const;
  int64_t start, stop, step;
};

/// A lazy sequence that can be walked once, as the filters map, select, items, ... return.
struct Generator : Object {
  Generator(Next next, int depth, std::string_view name) : next(std::move(next)), nesting(depth), name(name) {}
  std::string_view type_name() const override { return name; }
  int depth() const override { return nesting; }
  Next next;
  int nesting;
  std::string_view name;
};

/// dict.keys(), dict.values(), dict.items().
struct DictView : Object {
  enum class Kind { kKeys, kValues, kItems };
  DictView(DictPtr dict, Kind kind) : dict(std::move(dict)), kind(kind) {}
  std::string_view type_name() const override;
  int depth() const override { return dict->depth + 1; }
  DictPtr dict;
  Kind kind;
};

/// namespace(...): the one thing that {% set a.b = ... %} changes. The interpreter owns all of them until the end,
/// since they can refer to one another.
struct Namespace : Object {
  std::string_view type_name() const override { return "Namespace"; }
  bool attribute(Runtime&, const ObjectPtr& /*self*/, std::string_view name, Value& out) override {
    const Value* found = attributes.find(name);
    if (found != nullptr) out = *found;
    return found != nullptr;
  }
  Dict attributes;
};

}  // namespace citius::jinja
