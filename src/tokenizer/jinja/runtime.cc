#include "tokenizer/jinja/runtime.h"

#include <cmath>
#include <functional>

#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {

void Runtime::fail_undefined(const Undefined& undefined) const {
  if (undefined.hint != nullptr) fail("{}", undefined.hint);
  const std::string_view name = undefined.name ? std::string_view(undefined.name->text) : "a value";
  if (undefined.owner == nullptr) fail("'{}' is undefined", name);
  fail("'{}' has no attribute or element '{}'", undefined.owner, name);
}

Value Runtime::str(std::string text, bool markup) {
  budget.work();
  auto str = std::make_shared<Str>();
  str->hold = Hold(&budget, sizeof(Str) + text.capacity());
  str->length = count_code_points(text);
  str->text = std::move(text);
  str->markup = markup;
  return StrPtr(std::move(str));
}

Value Runtime::list(std::vector<Value> items, bool is_tuple, bool is_group) {
  budget.work();
  auto list = std::make_shared<List>();
  list->hold = Hold(&budget, sizeof(List) + items.capacity() * sizeof(Value));
  for (const Value& item : items) list->depth = std::max(list->depth, depth_of(item) + 1);
  if (list->depth > kMaxValueDepth) fail("values are nested deeper than {} levels", kMaxValueDepth);
  list->items = std::move(items);
  list->is_tuple = is_tuple;
  list->is_group = is_group;
  return ListPtr(std::move(list));
}

Value Runtime::dict(Dict&& dict) {
  budget.work();
  if (dict.depth > kMaxValueDepth) fail("values are nested deeper than {} levels", kMaxValueDepth);
  return DictPtr(std::make_shared<Dict>(std::move(dict)));
}

Value Runtime::generator(Next next, int source_depth, std::string_view name) {
  budget.work();
  if (source_depth >= kMaxValueDepth) fail("values are nested deeper than {} levels", kMaxValueDepth);
  return ObjectPtr(std::make_shared<Generator>(std::move(next), source_depth + 1, name));
}

std::optional<size_t> Runtime::hash(const Value& value) {
  budget.work();
  int64_t integer = 0;
  if (get_int(value, integer)) return std::hash<int64_t>()(integer);
  if (const double* number = std::get_if<double>(&value)) {
    if (std::fabs(*number) < 9e18 && std::trunc(*number) == *number) {
      return std::hash<int64_t>()(static_cast<int64_t>(*number));
    }
    return std::hash<double>()(*number);
  }
  if (const Str* str = as_str(value)) {
    budget.work_bytes(str->text.size());
    return std::hash<std::string_view>()(str->text);
  }
  if (const List* list = as_list(value)) {
    if (!list->is_tuple) return std::nullopt;
    size_t combined = list->items.size();
    for (const Value& item : list->items) {
      const auto part = hash(item);
      if (!part) return std::nullopt;
      combined = combined * 1000003 ^ *part;
    }
    return combined;
  }
  if (as_dict(value) != nullptr) return std::nullopt;
  if (const ObjectPtr* object = std::get_if<ObjectPtr>(&value)) return std::hash<const void*>()(object->get());
  return value.index();
}

const Value* Runtime::find(const Dict& dict, const Value& key) {
  budget.work();
  if (const Str* str = as_str(key)) {
    budget.work_bytes(str->text.size());
    return dict.find(str->text);
  }
  if (dict.index.empty()) {
    for (const auto& [name, value] : dict.items) {
      if (equals(name, key)) return &value;
    }
    return nullptr;
  }
  const auto code = hash(key);
  if (!code) return nullptr;
  auto [begin, end] = dict.index.equal_range(*code);
  for (auto it = begin; it != end; ++it) {
    if (equals(dict.items[it->second].first, key)) return &dict.items[it->second].second;
  }
  return nullptr;
}

void Runtime::set_item(Dict& dict, Value key, Value value) {
  constexpr size_t kIndexFrom = 8;
  const auto code = hash(key);
  if (!code) fail("a {} cannot be a key", type_name(key));
  dict.depth = std::max({dict.depth, depth_of(key) + 1, depth_of(value) + 1});
  if (const Value* old = find(dict, key)) {
    *const_cast<Value*>(old) = std::move(value);  // `dict` itself is mutable here
    return;
  }
  if (dict.items.empty()) dict.hold = Hold(&budget, sizeof(Dict));
  dict.hold.grow(2 * sizeof(Value) + 48);
  dict.items.emplace_back(std::move(key), std::move(value));
  if (dict.items.size() <= kIndexFrom) return;
  if (dict.index.empty()) {
    for (size_t i = 0; i < dict.items.size(); ++i) {
      dict.index.emplace(*hash(dict.items[i].first), static_cast<uint32_t>(i));
    }
    return;
  }
  dict.index.emplace(*code, static_cast<uint32_t>(dict.items.size() - 1));
}

Undefined Runtime::undefined_attribute(const Value& owner, const Value& name) {
  Undefined undefined;
  undefined.owner = type_name(owner).data();  // names of types are string literals
  if (const StrPtr* text = std::get_if<StrPtr>(&name)) {
    undefined.name = *text;
  } else if (is_number(name)) {
    undefined.name = std::get<StrPtr>(str(repr(name)));
  }
  return undefined;
}

bool Runtime::truthy(const Value& value) {
  if (const bool* flag = std::get_if<bool>(&value)) return *flag;
  if (const int64_t* number = std::get_if<int64_t>(&value)) return *number != 0;
  if (const double* number = std::get_if<double>(&value)) return *number != 0;
  if (is_undefined(value) || is_none(value)) return false;
  if (as_object<Namespace>(value) != nullptr) return true;
  const auto size = length(value);
  return !size || *size != 0;
}

std::optional<int64_t> Runtime::length(const Value& value) {
  if (const Str* str = as_str(value)) return static_cast<int64_t>(str->length);
  if (const List* list = as_list(value)) return static_cast<int64_t>(list->items.size());
  if (const Dict* dict = as_dict(value)) return static_cast<int64_t>(dict->items.size());
  if (is_undefined(value)) return 0;
  if (const auto* range = as_object<Range>(value)) return range->size();
  if (const auto* view = as_object<DictView>(value)) return static_cast<int64_t>(view->dict->items.size());
  if (const ObjectPtr* object = std::get_if<ObjectPtr>(&value)) return (*object)->length(*this);
  return std::nullopt;
}

bool Runtime::number_equals(const Value& a, const Value& b) {
  int64_t x = 0, y = 0;
  const bool a_int = get_int(a, x), b_int = get_int(b, y);
  if (a_int && b_int) return x == y;
  if (!a_int && !b_int) return std::get<double>(a) == std::get<double>(b);
  const double number = a_int ? std::get<double>(b) : std::get<double>(a);
  const int64_t integer = a_int ? x : y;
  return std::fabs(number) < 9.3e18 && std::trunc(number) == number &&
         static_cast<long double>(number) == static_cast<long double>(integer);
}

bool Runtime::equals(const Value& a, const Value& b) {
  budget.work();
  if (is_number(a) && is_number(b)) return number_equals(a, b);
  if (a.index() != b.index()) return false;
  if (const Str* x = as_str(a)) {
    budget.work_bytes(x->text.size());
    return x->text == as_str(b)->text;
  }
  if (const List* x = as_list(a)) {
    const List* y = as_list(b);
    if (x == y) return true;
    if (x->is_tuple != y->is_tuple || x->items.size() != y->items.size()) return false;
    for (size_t i = 0; i < x->items.size(); ++i) {
      if (!equals(x->items[i], y->items[i])) return false;
    }
    return true;
  }
  if (const Dict* x = as_dict(a)) {
    const Dict* y = as_dict(b);
    if (x == y) return true;
    if (x->items.size() != y->items.size()) return false;
    for (const auto& [key, value] : x->items) {
      const Value* other = find(*y, key);
      if (other == nullptr || !equals(value, *other)) return false;
    }
    return true;
  }
  if (const ObjectPtr* x = std::get_if<ObjectPtr>(&a)) {
    const auto *p = as_object<Range>(a), *q = as_object<Range>(b);
    if (p != nullptr && q != nullptr) {
      if (p->size() != q->size() || p->size() == 0) return p->size() == q->size();
      return p->start == q->start && (p->size() == 1 || p->step == q->step);
    }
    return x->get() == std::get<ObjectPtr>(b).get();
  }
  return true;  // both undefined, or both None
}

namespace {

std::string_view order_symbol(Order order) {
  static constexpr std::string_view kSymbols[] = {"<", "<=", ">", ">="};
  return kSymbols[static_cast<size_t>(order)];
}

template <typename T>
bool holds(const T& a, const T& b, Order order) {
  switch (order) {
    case Order::kLess: return a < b;
    case Order::kLessEqual: return a <= b;
    case Order::kGreater: return a > b;
    case Order::kGreaterEqual: return a >= b;
  }
  return false;
}

}  // namespace

bool Runtime::ordered(const Value& a, const Value& b, Order order) {
  budget.work();
  if (const Undefined* undefined = std::get_if<Undefined>(&a)) fail_undefined(*undefined);
  if (const Undefined* undefined = std::get_if<Undefined>(&b)) fail_undefined(*undefined);
  if (is_number(a) && is_number(b)) {
    int64_t x = 0, y = 0;
    const bool a_int = get_int(a, x), b_int = get_int(b, y);
    if (a_int && b_int) return holds(x, y, order);
    const long double p = a_int ? static_cast<long double>(x) : static_cast<long double>(std::get<double>(a));
    const long double q = b_int ? static_cast<long double>(y) : static_cast<long double>(std::get<double>(b));
    return holds(p, q, order);
  }
  const Str *s = as_str(a), *t = as_str(b);
  if (s != nullptr && t != nullptr) {
    budget.work_bytes(std::min(s->text.size(), t->text.size()));
    return holds(s->text.compare(t->text), 0, order);  // byte order of UTF-8 is code point order
  }
  const List *x = as_list(a), *y = as_list(b);
  if (x != nullptr && y != nullptr && x->is_tuple == y->is_tuple) {
    const size_t common = std::min(x->items.size(), y->items.size());
    for (size_t i = 0; i < common; ++i) {
      if (!equals(x->items[i], y->items[i])) return ordered(x->items[i], y->items[i], order);
    }
    return holds(x->items.size(), y->items.size(), order);
  }
  fail("'{}' is not supported between '{}' and '{}'", order_symbol(order), type_name(a), type_name(b));
}

bool Runtime::contains(const Value& container, const Value& item) {
  budget.work();
  if (const Str* str = as_str(container)) {
    const Str* part = as_str(item);
    if (part == nullptr) fail("'in <string>' needs a string on its left, got {}", type_name(item));
    budget.work_bytes(str->text.size());
    return str->text.find(part->text) != std::string::npos;
  }
  if (const List* list = as_list(container)) {
    for (const Value& candidate : list->items) {
      if (equals(candidate, item)) return true;
    }
    return false;
  }
  if (const Dict* dict = as_dict(container)) {
    if (!hash(item)) fail("a {} cannot be a key", type_name(item));
    return find(*dict, item) != nullptr;
  }
  if (!iterable(container)) fail("a {} cannot be searched with 'in'", type_name(container));
  const Next next = iterate(container);
  for (Value candidate; next(candidate);) {
    if (equals(candidate, item)) return true;
  }
  return false;
}

bool Runtime::iterable(const Value& value) {
  if (as_str(value) != nullptr || as_list(value) != nullptr || as_dict(value) != nullptr || is_undefined(value)) {
    return true;
  }
  const ObjectPtr* object = std::get_if<ObjectPtr>(&value);
  if (object == nullptr) return false;
  return as_object<Range>(value) != nullptr || as_object<Generator>(value) != nullptr || as_object<DictView>(value) != nullptr;
}

namespace {

Next iterate_view(Runtime& runtime, const DictView& view) {
  return [&runtime, dict = view.dict, kind = view.kind, i = size_t{0}](Value& out) mutable {
    if (i == dict->items.size()) return false;
    runtime.budget.work();
    const auto& [key, value] = dict->items[i++];
    if (kind == DictView::Kind::kItems) {
      out = runtime.list({key, value}, /*is_tuple=*/true);
    } else {
      out = kind == DictView::Kind::kKeys ? key : value;
    }
    return true;
  };
}

Next iterate_range(Runtime& runtime, const Range& range) {
  return [&runtime, at = range.start, step = range.step, left = range.size()](Value& out) mutable {
    if (left == 0) return false;
    runtime.budget.work();
    out = at;
    if (--left > 0) at += step;
    return true;
  };
}

}  // namespace

Next Runtime::iterate(const Value& value) {
  if (const StrPtr* str = std::get_if<StrPtr>(&value)) {
    return [this, str = *str, pos = size_t{0}](Value& out) mutable {
      if (pos == str->text.size()) return false;
      const size_t start = pos;
      next_code_point(str->text, pos);
      out = this->str(str->text.substr(start, pos - start));
      return true;
    };
  }
  if (const ListPtr* list = std::get_if<ListPtr>(&value)) {
    return [this, list = *list, i = size_t{0}](Value& out) mutable {
      if (i == list->items.size()) return false;
      budget.work();
      out = list->items[i++];
      return true;
    };
  }
  if (const DictPtr* dict = std::get_if<DictPtr>(&value)) {
    return iterate_view(*this, DictView(*dict, DictView::Kind::kKeys));
  }
  if (is_undefined(value)) return [](Value&) { return false; };
  if (const auto* range = as_object<Range>(value)) return iterate_range(*this, *range);
  if (const auto* view = as_object<DictView>(value)) return iterate_view(*this, *view);
  if (auto* generator = as_object<Generator>(value)) {
    return [this, generator, keep = std::get<ObjectPtr>(value)](Value& out) {
      budget.work();
      return generator->next(out);
    };
  }
  fail("a {} cannot be iterated over", type_name(value));
}

std::vector<Value> Runtime::to_vector(const Value& value) {
  if (const List* list = as_list(value)) {
    budget.work(list->items.size());
    return list->items;
  }
  Items items(*this);
  const Next next = iterate(value);
  for (Value item; next(item);) items.push(item);
  return std::move(items.vector());
}

Value Runtime::call(const Value& callee, Args& args) {
  budget.work();
  if (const Undefined* undefined = std::get_if<Undefined>(&callee)) fail_undefined(*undefined);
  const ObjectPtr* object = std::get_if<ObjectPtr>(&callee);
  if (object == nullptr || !(*object)->callable()) fail("a {} cannot be called", type_name(callee));
  const ObjectPtr keep = *object;
  return keep->call(*this, args);
}

}  // namespace citius::jinja
