// Filters that compare items: sort, dictsort, unique, min, max, groupby. Without `case_sensitive`, text is compared in
// lower case.
#include <algorithm>

#include "tokenizer/jinja/filters.h"

namespace citius::jinja {
namespace {

/// The key of an item: its attribute (or itself), in lower case where it is text and case does not matter.
Value sort_key(Runtime& runtime, const Value& item, const Value& path, bool case_sensitive) {
  const Value key = get_path(runtime, item, path);
  return case_sensitive ? key : ignore_case(runtime, key);
}

using Keyed = std::pair<Value, Value>;  // key, item

std::vector<Value> sorted(Runtime& runtime, std::vector<Keyed> entries, bool reverse) {
  std::stable_sort(entries.begin(), entries.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? runtime.ordered(b.first, a.first, Order::kLess) : runtime.ordered(a.first, b.first, Order::kLess);
  });
  std::vector<Value> items;
  items.reserve(entries.size());
  for (Keyed& entry : entries) items.push_back(std::move(entry.second));
  return items;
}

/// Comma separated attributes become the tuple of their values.
Value multi_key(Runtime& runtime, const Value& item, const Value& paths, bool case_sensitive) {
  Items keys(runtime);
  const Str* text = as_str(paths);
  if (text == nullptr) {
    keys.push(sort_key(runtime, item, paths, case_sensitive));
    return keys.finish();
  }
  std::string_view rest = text->text;
  while (true) {
    const size_t comma = rest.find(',');
    keys.push(sort_key(runtime, item, runtime.str(std::string(rest.substr(0, comma))), case_sensitive));
    if (comma == std::string_view::npos) return keys.finish();
    rest.remove_prefix(comma + 1);
  }
}

Value sort(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "sort", args, {"reverse", "case_sensitive", "attribute"}, 0);
  const bool case_sensitive = bool_argument(runtime, bound[1], false);
  const Value paths = bound[2] == nullptr ? Value(None{}) : *bound[2];
  std::vector<Keyed> entries;
  for (const Value& item : runtime.to_vector(self)) {
    entries.emplace_back(multi_key(runtime, item, paths, case_sensitive), item);
  }
  return runtime.list(sorted(runtime, std::move(entries), bool_argument(runtime, bound[0], false)));
}

Value dict_sort(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "dictsort", args, {"case_sensitive", "by", "reverse"}, 0);
  const std::string by = bound[1] == nullptr ? "key" : runtime.text(*bound[1]);
  if (by != "key" && by != "value") runtime.fail("dictsort got by '{}', expected key or value", by);
  const Dict* dict = as_dict(self);
  if (const Undefined* undefined = std::get_if<Undefined>(&self)) runtime.fail_undefined(*undefined);
  if (dict == nullptr) runtime.fail("dictsort expects a dict, got a {}", type_name(self));
  const bool case_sensitive = bool_argument(runtime, bound[0], false);
  std::vector<Keyed> entries;
  for (const auto& [key, value] : dict->items) {
    entries.emplace_back(sort_key(runtime, by == "key" ? key : value, None{}, case_sensitive),
                         runtime.list({key, value}, /*is_tuple=*/true));
  }
  return runtime.list(sorted(runtime, std::move(entries), bool_argument(runtime, bound[2], false)));
}

Value unique(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "unique", args, {"case_sensitive", "attribute"}, 0);
  const bool case_sensitive = bool_argument(runtime, bound[0], false);
  const Value path = bound[1] == nullptr ? Value(None{}) : *bound[1];
  const auto seen = std::make_shared<Dict>();
  Next source;
  const auto next = [&runtime, self, case_sensitive, path, seen, source](Value& out) mutable {
    if (!source) source = runtime.iterate(self);
    for (Value item; source(item);) {
      const Value key = sort_key(runtime, item, path, case_sensitive);
      if (!runtime.hash(key)) runtime.fail("unique cannot compare a {}", type_name(key));
      if (runtime.find(*seen, key) != nullptr) continue;
      runtime.set_item(*seen, key, None{});
      out = std::move(item);
      return true;
    }
    return false;
  };
  return runtime.generator(next, depth_of(self));
}

template <Order kOrder>
Value extreme(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "min or max", args, {"case_sensitive", "attribute"}, 0);
  const bool case_sensitive = bool_argument(runtime, bound[0], false);
  const Value path = bound[1] == nullptr ? Value(None{}) : *bound[1];
  const Next next = runtime.iterate(self);
  Value best;
  if (!next(best)) return Undefined{nullptr, nullptr, "there is no aggregated item, the sequence is empty"};
  Value best_key = sort_key(runtime, best, path, case_sensitive);
  for (Value item; next(item);) {
    Value key = sort_key(runtime, item, path, case_sensitive);
    if (!runtime.ordered(key, best_key, kOrder)) continue;
    best = item;
    best_key = std::move(key);
  }
  return best;
}

Value group_by(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound = bind(runtime, "groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const bool case_sensitive = bool_argument(runtime, bound[2], false);
  const Value* fallback = bound[1] == nullptr || is_none(*bound[1]) ? nullptr : bound[1];
  const auto key_of = [&](const Value& item, bool exact) {
    const Value key = get_path(runtime, item, *bound[0], fallback);
    return exact ? key : ignore_case(runtime, key);
  };
  std::vector<Keyed> entries;
  for (const Value& item : runtime.to_vector(self)) entries.emplace_back(key_of(item, case_sensitive), item);
  const std::vector<Value> items = sorted(runtime, std::move(entries), /*reverse=*/false);
  Items groups(runtime);
  for (size_t begin = 0; begin < items.size();) {
    const Value key = key_of(items[begin], case_sensitive);
    Items group(runtime);
    size_t end = begin;
    for (; end < items.size() && runtime.equals(key_of(items[end], case_sensitive), key); ++end) group.push(items[end]);
    Value name = key_of(items[begin], /*exact=*/true);
    groups.push(runtime.list({std::move(name), group.finish()}, /*is_tuple=*/true, /*is_group=*/true));
    begin = std::max(end, begin + 1);
  }
  return groups.finish();
}

constexpr FilterEntry kFilters[] = {
    {"dictsort", dict_sort},        {"groupby", group_by}, {"max", extreme<Order::kGreater>},
    {"min", extreme<Order::kLess>}, {"sort", sort},        {"unique", unique},
};

}  // namespace

std::span<const FilterEntry> sorting_filters() { return kFilters; }

}  // namespace citius::jinja
