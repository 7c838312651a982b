// The functions that every chat template finds: range, dict, namespace, cycler, joiner, raise_exception, strftime_now.
#include <algorithm>

#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

constexpr int64_t kMaxRange = 100000;  // as in Jinja's sandbox

struct Function : Object {
  Function(std::string name, std::function<Value(Runtime&, const Args&)> function) : name(std::move(name)), function(std::move(function)) {}
  std::string_view type_name() const override { return "function"; }
  std::string repr() const override { return "<function " + name + ">"; }
  bool callable() const override { return true; }
  Value call(Runtime& runtime, Args& args) override { return function(runtime, args); }
  std::string name;
  std::function<Value(Runtime&, const Args&)> function;
};

Value make_range(Runtime& runtime, const Args& args) {
  const Bound bound = bind(runtime, "range", args, {"", "", ""}, 1);
  const int64_t first = int_argument(runtime, "range", bound[0], 0);
  const int64_t step = int_argument(runtime, "range", bound[2], 1);
  if (step == 0) runtime.fail("the step of a range cannot be zero");
  const bool single = bound[1] == nullptr;
  auto range = std::make_shared<Range>(single ? 0 : first, single ? first : int_argument(runtime, "range", bound[1], 0), step);
  if (range->size() > kMaxRange) runtime.fail("a range has {} items, expected at most {}", range->size(), kMaxRange);
  return ObjectPtr(std::move(range));
}

/// What dict(...) is made of: a mapping or pairs, and keywords.
Dict collect(Runtime& runtime, const Args& args) {
  Dict dict;
  if (args.positional.size() > 1) runtime.fail("dict takes one mapping or sequence of pairs");
  if (!args.positional.empty()) {
    const Value& source = args.positional[0];
    if (const Dict* from = as_dict(source)) {
      for (const auto& [key, value] : from->items) runtime.set_item(dict, key, value);
    } else {
      const Next next = runtime.iterate(source);
      for (Value item; next(item);) {
        const std::vector<Value> pair = runtime.to_vector(item);
        if (pair.size() != 2) runtime.fail("dict expects pairs, got {} values", pair.size());
        runtime.set_item(dict, pair[0], pair[1]);
      }
    }
  }
  for (const auto& [name, value] : args.keyword) runtime.set_item(dict, runtime.str(name), value);
  return dict;
}

Value from_keys(Runtime& runtime, const Value& /*self*/, const Args& args) {
  const Bound bound = bind(runtime, "fromkeys", args, {"", ""}, 1);
  Dict dict;
  const Next next = runtime.iterate(*bound[0]);
  for (Value key; next(key);) runtime.set_item(dict, key, bound[1] == nullptr ? Value(None{}) : *bound[1]);
  return runtime.dict(std::move(dict));
}

struct DictType : Object {
  std::string_view type_name() const override { return "TemplateDict"; }
  bool callable() const override { return true; }
  Value call(Runtime& runtime, Args& args) override { return runtime.dict(collect(runtime, args)); }
  bool attribute(Runtime& /*runtime*/, const ObjectPtr& self, std::string_view name, Value& out) override {
    if (name != "fromkeys") return false;
    out = ObjectPtr(std::make_shared<Method>(self, from_keys));
    return true;
  }
};

struct Cycler : Object {
  explicit Cycler(Value items) : items(std::move(items)) {}
  std::string_view type_name() const override { return "Cycler"; }
  int depth() const override { return depth_of(items) + 1; }
  const Value& now() const { return as_list(items)->items[pos]; }
  bool attribute(Runtime& /*runtime*/, const ObjectPtr& self, std::string_view name, Value& out) override {
    if (name == "current")
      out = now();
    else if (name == "pos")
      out = static_cast<int64_t>(pos);
    else if (name == "items")
      out = items;
    else if (name == "next")
      out = ObjectPtr(std::make_shared<Method>(self, next));
    else if (name == "reset")
      out = ObjectPtr(std::make_shared<Method>(self, reset));
    else
      return false;
    return true;
  }
  static Value next(Runtime& /*runtime*/, const Value& self, const Args& /*args*/) {
    auto& cycler = *as_object<Cycler>(self);
    const Value value = cycler.now();
    cycler.pos = (cycler.pos + 1) % as_list(cycler.items)->items.size();
    return value;
  }
  static Value reset(Runtime& /*runtime*/, const Value& self, const Args& /*args*/) {
    as_object<Cycler>(self)->pos = 0;
    return None{};
  }
  Value items;
  size_t pos = 0;
};

struct Joiner : Object {
  explicit Joiner(Value separator) : separator(std::move(separator)) {}
  std::string_view type_name() const override { return "Joiner"; }
  int depth() const override { return depth_of(separator) + 1; }
  bool callable() const override { return true; }
  Value call(Runtime& runtime, Args& /*args*/) override { return std::exchange(used, true) ? separator : runtime.str(""); }
  Value separator;
  bool used = false;
};

Value format_time(Runtime& runtime, const Args& args, const Interpreter::Clock& clock) {
  const Bound bound = bind(runtime, "strftime_now", args, {"format"}, 1);
  const Str* format = as_str(*bound[0]);
  if (format == nullptr) runtime.fail("strftime_now expects a string, got a {}", type_name(*bound[0]));
  if (format->text.size() > 1000) runtime.fail("strftime_now got a format of more than 1000 bytes");
  // A local time without a zone, as datetime.now() is: what names zones or fractions prints as nothing or zeros.
  std::string pattern;
  for (size_t i = 0; i < format->text.size(); ++i) {
    const char c = format->text[i];
    if (c == '%' && i + 1 < format->text.size()) {
      const char kind = format->text[++i];
      if (kind == 'f')
        pattern += "000000";
      else if (kind != 'z' && kind != 'Z')
        pattern += {c, kind};
    } else {
      pattern.push_back(c);
    }
  }
  if (pattern.empty()) return runtime.str("");
  const std::tm now = clock();
  std::string out(pattern.size() * 32 + 64, '\0');
  out.resize(std::strftime(out.data(), out.size(), (pattern + " ").c_str(), &now));
  if (!out.empty()) out.pop_back();  // the space tells an empty result from a failure
  return runtime.str(replace_invalid_utf8(out));
}

}  // namespace

void Interpreter::add_function(const std::string& name, std::function<Value(Runtime&, const Args&)> function) {
  const int symbol = template_.symbols.find(name);
  if (symbol >= 0) root_->parent->set(symbol, ObjectPtr(std::make_shared<Function>(name, std::move(function))));
}

void Interpreter::add_globals(Clock clock) {
  add_function("range", make_range);
  add_function("raise_exception", [](Runtime& runtime, const Args& args) -> Value {
    const Bound bound = bind(runtime, "raise_exception", args, {"message"}, 1);
    runtime.fail("the template refuses this conversation: {}", runtime.text(*bound[0]));
  });
  add_function("strftime_now",
               [clock = std::move(clock)](Runtime& runtime, const Args& args) { return format_time(runtime, args, clock); });
  add_function("namespace", [this](Runtime& runtime, const Args& args) -> Value {
    auto space = std::make_shared<Namespace>();
    space->attributes = collect(runtime, args);
    for (const auto& [key, value] : space->attributes.items) {
      const Str* name = as_str(key);
      if (name != nullptr && name->text.starts_with('_')) {
        runtime.fail("a namespace takes no attribute that begins with '_', got '{}'", name->text);
      }
    }
    kept_hold_.grow(sizeof(Namespace) + 64);
    kept_namespaces_.push_back(space);
    return ObjectPtr(std::move(space));
  });
  add_function("cycler", [](Runtime& runtime, const Args& args) -> Value {
    if (args.positional.empty() || !args.keyword.empty()) runtime.fail("cycler needs values to cycle through");
    return ObjectPtr(std::make_shared<Cycler>(runtime.list(args.positional, /*is_tuple=*/true)));
  });
  add_function("joiner", [](Runtime& runtime, const Args& args) -> Value {
    const Bound bound = bind(runtime, "joiner", args, {"sep"}, 0);
    return ObjectPtr(std::make_shared<Joiner>(bound[0] == nullptr ? runtime.str(", ") : *bound[0]));
  });
  const int dict = template_.symbols.find("dict");
  if (dict >= 0) root_->parent->set(dict, ObjectPtr(std::make_shared<DictType>()));
}

}  // namespace citius::jinja
