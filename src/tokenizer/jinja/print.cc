// str() and repr() of values, and the builders of texts and lists.
#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/runtime.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {

void Text::grow(size_t more) {
  const size_t wanted = std::max(text_.size() + more, 2 * held_);
  hold_.grow(wanted - held_);
  held_ = wanted;
  text_.reserve(wanted);
}

Value Text::finish(bool markup) {
  std::string text = std::move(text_);
  hold_ = Hold();
  return runtime_.str(std::move(text), markup);
}

Value Items::finish(bool is_tuple) {
  std::vector<Value> items = std::move(items_);
  hold_ = Hold();
  return runtime_.list(std::move(items), is_tuple);
}

void Text::append_value(const Value& value) {
  if (const Str* str = as_str(value)) {
    append(str->text);
  } else if (!is_undefined(value)) {
    append_repr(value);
  }
}

namespace {

void append_items(Runtime& runtime, Text& out, const std::vector<Value>& items, int depth) {
  for (size_t i = 0; i < items.size(); ++i) {
    runtime.budget.work();
    if (i > 0) out.append(", ");
    out.append_repr(items[i], depth + 1);
  }
}

void append_dict(Runtime& runtime, Text& out, const Dict& dict, int depth) {
  out.append('{');
  for (size_t i = 0; i < dict.items.size(); ++i) {
    runtime.budget.work();
    if (i > 0) out.append(", ");
    out.append_repr(dict.items[i].first, depth + 1);
    out.append(": ");
    out.append_repr(dict.items[i].second, depth + 1);
  }
  out.append('}');
}

void append_object(Runtime& runtime, Text& out, const Value& value, int depth) {
  if (const auto* range = as_object<Range>(value)) {
    const std::string step = range->step == 1 ? "" : fmt::format(", {}", range->step);
    out.append(fmt::format("range({}, {}{})", range->start, range->stop, step));
  } else if (const auto* view = as_object<DictView>(value)) {
    out.append(fmt::format("{}([", view->type_name()));
    append_items(runtime, out, runtime.to_vector(value), depth);
    out.append("])");
  } else if (const auto* space = as_object<Namespace>(value)) {
    out.append("<Namespace ");
    append_dict(runtime, out, space->attributes, depth);
    out.append('>');
  } else {
    out.append(std::get<ObjectPtr>(value)->repr());
  }
}

}  // namespace

void Text::append_repr(const Value& value, int depth) {
  if (depth > 2 * kMaxValueDepth) runtime_.fail("values are nested too deep to be printed");
  if (const Str* str = as_str(value)) {
    runtime_.budget.work_bytes(str->text.size() * 8);
    append(str->markup ? "Markup(" + quote(str->text) + ")" : quote(str->text));
  } else if (const List* list = as_list(value)) {
    append(list->is_tuple ? '(' : '[');
    append_items(runtime_, *this, list->items, depth);
    if (list->is_tuple) append(list->items.size() == 1 ? ",)" : ")");
    if (!list->is_tuple) append(']');
  } else if (const Dict* dict = as_dict(value)) {
    append_dict(runtime_, *this, *dict, depth);
  } else if (const bool* flag = std::get_if<bool>(&value)) {
    append(*flag ? "True" : "False");
  } else if (const int64_t* integer = std::get_if<int64_t>(&value)) {
    append(std::to_string(*integer));
  } else if (const double* number = std::get_if<double>(&value)) {
    append(float_repr(*number));
  } else if (is_none(value)) {
    append("None");
  } else if (is_undefined(value)) {
    append("Undefined");
  } else {
    append_object(runtime_, *this, value, depth);
  }
}

std::string_view Runtime::text(const Value& value, std::string& storage) {
  if (const Str* str = as_str(value)) return str->text;
  storage = text(value);
  return storage;
}

std::string Runtime::text(const Value& value) {
  Text out(*this);
  out.append_value(value);
  return out.take();
}

std::string Runtime::repr(const Value& value) {
  Text out(*this);
  out.append_repr(value);
  return out.take();
}

}  // namespace citius::jinja
