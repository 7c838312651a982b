// Filters on sequences: join, first, list, map, select, batch, ... As in Jinja, map, select and their like are lazy:
// they give a generator that is walked once, is always true and has no length.
#include <algorithm>

#include "tokenizer/jinja/filters.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

Value length(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "length", args, {}, 0);
  const auto size = runtime.length(self);
  if (!size) runtime.fail("a {} has no length; use '| list | length'", type_name(self));
  return *size;
}

Value to_list(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "list", args, {}, 0);
  return runtime.list(runtime.to_vector(self));
}

Value first(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "first", args, {}, 0);
  Value item;
  if (runtime.iterate(self)(item)) return item;
  return Undefined{nullptr, nullptr, "there is no first item, the sequence is empty"};
}

Value last(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "last", args, {}, 0);
  constexpr const char* kEmpty = "there is no last item, the sequence is empty";
  if (as_object<Generator>(self) != nullptr) runtime.fail("a {} has no last item; use '| list | last'", type_name(self));
  if (const List* list = as_list(self)) {
    return list->items.empty() ? Value(Undefined{nullptr, nullptr, kEmpty}) : list->items.back();
  }
  if (as_str(self) != nullptr && as_str(self)->length > 0) return runtime.get_item(self, int64_t{-1});
  const std::vector<Value> items = runtime.to_vector(self);
  return items.empty() ? Value(Undefined{nullptr, nullptr, kEmpty}) : items.back();
}

Value join(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "join", args, {"d", "attribute"}, 0);
  std::string storage;
  const std::string_view separator = bound[0] == nullptr ? std::string_view() : runtime.text(*bound[0], storage);
  const bool by_attribute = bound[1] != nullptr && !is_none(*bound[1]);
  Text out(runtime);
  const Next next = runtime.iterate(self);
  bool is_first = true;
  for (Value item; next(item); is_first = false) {
    if (!is_first) out.append(separator);
    out.append_value(by_attribute ? get_path(runtime, item, *bound[1]) : item);
  }
  return out.finish();
}

Value items(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "items", args, {}, 0);
  if (is_undefined(self)) return runtime.generator([](Value&) { return false; }, 0);
  const DictPtr* dict = std::get_if<DictPtr>(&self);
  if (dict == nullptr) {
    // The filter is lazy, so that the error comes with the first item.
    return runtime.generator([&runtime](Value&) -> bool { runtime.fail("items expects a mapping"); }, depth_of(self));
  }
  const Value view = ObjectPtr(std::make_shared<DictView>(*dict, DictView::Kind::kItems));
  return runtime.generator(runtime.iterate(view), depth_of(self) + 1);
}

Value reverse(Runtime& runtime, const Value& self, const Args& args) {
  bind(runtime, "reverse", args, {}, 0);
  if (as_str(self) != nullptr) return runtime.slice(self, None{}, None{}, int64_t{-1});
  if (as_object<Generator>(self) != nullptr) {
    std::vector<Value> values = runtime.to_vector(self);
    std::reverse(values.begin(), values.end());
    return runtime.list(std::move(values));
  }
  if (!runtime.iterable(self)) runtime.fail("reverse expects a sequence, got a {}", type_name(self));
  std::vector<Value> values = runtime.to_vector(self);
  std::reverse(values.begin(), values.end());
  const Value list = runtime.list(std::move(values));
  return runtime.generator(runtime.iterate(list), depth_of(list),
                           as_dict(self) != nullptr ? "dict_reversekeyiterator" : "list_reverseiterator");
}

Args tail(const Args& args, size_t skip) {
  Args out;
  out.keyword = args.keyword;
  out.positional.assign(args.positional.begin() + static_cast<std::ptrdiff_t>(skip), args.positional.end());
  return out;
}

int depth_of_args(const Args& args) {
  int depth = 0;
  for (const Value& value : args.positional) depth = std::max(depth, depth_of(value));
  for (const auto& [name, value] : args.keyword) depth = std::max(depth, depth_of(value));
  return depth;
}

/// A generator that makes its source and its function when the first item is asked for, as Python's do.
template <typename MakeNext>
Value lazily(Runtime& runtime, const Value& self, const Args& args, MakeNext make_next) {
  Next next = [made = Next(), make_next = std::move(make_next)](Value& out) mutable {
    if (!made) made = make_next();
    return made(out);
  };
  return runtime.generator(std::move(next), std::max(depth_of(self), depth_of_args(args)));
}

Next map_attribute(Runtime& runtime, const Value& self, const Args& args) {
  Value path, fallback;
  bool has_fallback = false;
  for (const auto& [name, value] : args.keyword) {
    if (name == "attribute") {
      path = value;
    } else if (name == "default") {
      fallback = value;
      has_fallback = !is_none(value);
    } else {
      runtime.fail("map takes no argument '{}'", name);
    }
  }
  return [&runtime, next = runtime.iterate(self), path, fallback, has_fallback](Value& out) {
    Value item;
    if (!next(item)) return false;
    out = get_path(runtime, item, path, has_fallback ? &fallback : nullptr);
    return true;
  };
}

Next map_filter(Runtime& runtime, const Value& self, const Args& args) {
  if (args.positional.empty()) runtime.fail("map needs the name of a filter, or an attribute");
  const std::string name = runtime.text(args.positional[0]);
  const NativeFunction filter = find_filter(name);
  if (filter == nullptr) runtime.fail("there is no filter '{}'", name);
  return [&runtime, next = runtime.iterate(self), filter, rest = tail(args, 1)](Value& out) {
    Value item;
    if (!next(item)) return false;
    out = filter(runtime, item, rest);
    return true;
  };
}

bool has_attribute_argument(const Args& args) {
  return args.positional.empty() &&
         std::any_of(args.keyword.begin(), args.keyword.end(), [](const auto& entry) { return entry.first == "attribute"; });
}

Value map(Runtime& runtime, const Value& self, const Args& args) {
  return lazily(runtime, self, args, [&runtime, self, args]() -> Next {
    if (!runtime.truthy(self)) return [](Value&) { return false; };
    return has_attribute_argument(args) ? map_attribute(runtime, self, args) : map_filter(runtime, self, args);
  });
}

/// The items for which a test holds (`keep`) or does not, on the item itself or on an attribute of it.
Next select_next(Runtime& runtime, const Value& self, const Args& args, bool keep, bool by_attribute) {
  if (!runtime.truthy(self)) return [](Value&) { return false; };
  if (by_attribute && args.positional.empty()) runtime.fail("this filter needs the name of an attribute");
  const size_t skip = by_attribute ? 1 : 0;
  const Value path = by_attribute ? args.positional[0] : Value(None{});
  NativeTest test = nullptr;
  Args rest;
  if (args.positional.size() > skip) {
    const std::string name = runtime.text(args.positional[skip]);
    test = find_test(name);
    if (test == nullptr) runtime.fail("there is no test '{}'", name);
    rest = tail(args, skip + 1);
  }
  return [&runtime, next = runtime.iterate(self), path, test, rest, keep](Value& out) {
    for (Value item; next(item);) {
      const Value value = get_path(runtime, item, path);
      if ((test != nullptr ? test(runtime, value, rest) : runtime.truthy(value)) != keep) continue;
      out = std::move(item);
      return true;
    }
    return false;
  };
}

template <bool kKeep, bool kByAttribute>
Value select(Runtime& runtime, const Value& self, const Args& args) {
  return lazily(runtime, self, args, [&runtime, self, args]() { return select_next(runtime, self, args, kKeep, kByAttribute); });
}

/// Rows of `size` items, the last filled up where there is something to fill with.
Value batch(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "batch", args, {"linecount", "fill_with"}, 1);
  const int64_t size = int_argument(runtime, "batch", bound[0], 1);
  const Value fill = bound[1] == nullptr ? Value(None{}) : *bound[1];
  return lazily(runtime, self, args, [&runtime, self, size, fill]() -> Next {
    auto held = std::make_shared<std::optional<Value>>();
    return [&runtime, next = runtime.iterate(self), size, fill, held](Value& out) {
      Items row(runtime);
      if (*held) row.push(*std::exchange(*held, std::nullopt));
      for (Value item; next(item); row.push(std::move(item))) {
        if (static_cast<int64_t>(row.size()) != size) continue;
        *held = std::move(item);
        out = row.finish();
        return true;
      }
      if (row.size() == 0) return false;
      while (!is_none(fill) && static_cast<int64_t>(row.size()) < size) row.push(fill);
      out = row.finish();
      return true;
    };
  });
}

/// Columns: `count` lists of nearly equal length.
Value slices(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "slice", args, {"slices", "fill_with"}, 1);
  const int64_t count = int_argument(runtime, "slice", bound[0], 1);
  const Value fill = bound[1] == nullptr ? Value(None{}) : *bound[1];
  return lazily(runtime, self, args, [&runtime, self, count, fill]() -> Next {
    const auto values = std::make_shared<const std::vector<Value>>(runtime.to_vector(self));
    if (count == 0) runtime.fail("division by zero");
    return [&runtime, values, count, fill, at = int64_t{0}](Value& out) mutable {
      if (at >= count) return false;
      const auto size = static_cast<int64_t>(values->size());
      const int64_t each = size / count, longer = size % count;
      const int64_t begin = at * each + std::min(at, longer);
      const int64_t end = begin + each + (at < longer ? 1 : 0);
      Items column(runtime);
      for (int64_t i = begin; i < end; ++i) column.push((*values)[static_cast<size_t>(i)]);
      if (!is_none(fill) && at >= longer) column.push(fill);
      ++at;
      out = column.finish();
      return true;
    };
  });
}

Value sum(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "sum", args, {"attribute", "start"}, 0);
  const bool by_attribute = bound[0] != nullptr && !is_none(*bound[0]);
  Value total = bound[1] == nullptr ? Value(int64_t{0}) : *bound[1];
  if (as_str(total) != nullptr) runtime.fail("sum does not add strings; use 'join'");
  const Next next = runtime.iterate(self);
  for (Value item; next(item);) {
    total = runtime.arithmetic(Arithmetic::kAdd, total, by_attribute ? get_path(runtime, item, *bound[0]) : item);
  }
  return total;
}

constexpr FilterEntry kFilters[] = {
    {"batch", batch},
    {"count", length},
    {"first", first},
    {"items", items},
    {"join", join},
    {"last", last},
    {"length", length},
    {"list", to_list},
    {"map", map},
    {"reject", select</*kKeep=*/false, /*kByAttribute=*/false>},
    {"rejectattr", select</*kKeep=*/false, /*kByAttribute=*/true>},
    {"reverse", reverse},
    {"select", select</*kKeep=*/true, /*kByAttribute=*/false>},
    {"selectattr", select</*kKeep=*/true, /*kByAttribute=*/true>},
    {"slice", slices},
    {"sum", sum},
};

}  // namespace

std::span<const FilterEntry> sequence_filters() { return kFilters; }

}  // namespace citius::jinja
