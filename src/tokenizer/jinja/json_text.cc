// json.dumps with its options.
#include <algorithm>
#include <cmath>

#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/runtime.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonStyle& style) : runtime_(runtime), style_(style), out_(runtime) {}

  Value write(const Value& value) {
    append(value, 0);
    return out_.finish();
  }

 private:
  void append(const Value& value, int depth) {
    runtime_.budget.work();
    if (const Str* str = as_str(value)) {
      append_string(str->text);
    } else if (const List* list = as_list(value)) {
      append_list(*list, depth);
    } else if (const Dict* dict = as_dict(value)) {
      append_dict(*dict, depth);
    } else if (!append_scalar(value)) {
      runtime_.fail("a value of type {} cannot be written as JSON", type_name(value));
    }
  }

  bool append_scalar(const Value& value) {
    if (const bool* flag = std::get_if<bool>(&value)) {
      out_.append(*flag ? "true" : "false");
    } else if (const int64_t* integer = std::get_if<int64_t>(&value)) {
      out_.append(std::to_string(*integer));
    } else if (const double* number = std::get_if<double>(&value)) {
      out_.append(std::isnan(*number) ? "NaN" : std::isinf(*number) ? (*number < 0 ? "-Infinity" : "Infinity") : float_repr(*number));
    } else if (is_none(value)) {
      out_.append("null");
    } else {
      return false;
    }
    return true;
  }

  void append_string(std::string_view text) {
    runtime_.budget.work_bytes(text.size() * 4);
    std::string quoted = "\"";
    for (size_t pos = 0; pos < text.size();) {
      const size_t start = pos;
      const char32_t code = next_code_point(text, pos);
      static constexpr std::string_view kShort = "\"\\\n\r\t\f\b", kLetters = "\"\\nrtfb";
      const size_t at = code < 0x80 ? kShort.find(static_cast<char>(code)) : std::string_view::npos;
      if (at != std::string_view::npos) {
        quoted += {'\\', kLetters[at]};
      } else if (code < 0x20 || (code >= 0x7F && style_.ensure_ascii && code != 0x7F && code < 0x10000)) {
        quoted += fmt::format("\\u{:04x}", static_cast<uint32_t>(code));
      } else if (code >= 0x10000 && style_.ensure_ascii) {
        const auto low = static_cast<uint32_t>(code) - 0x10000;
        quoted += fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (low >> 10), 0xDC00 + (low & 0x3FF));
      } else {
        quoted += text.substr(start, pos - start);
      }
    }
    quoted.push_back('"');
    out_.append(quoted);
  }

  void append_line(int depth) {
    if (!style_.indent) return;
    out_.append('\n');
    for (int i = 0; i < depth; ++i) out_.append(*style_.indent);
  }

  void append_list(const List& list, int depth) {
    if (list.items.empty()) return out_.append("[]");
    out_.append('[');
    for (size_t i = 0; i < list.items.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator);
      append_line(depth + 1);
      append(list.items[i], depth + 1);
    }
    append_line(depth);
    out_.append(']');
  }

  void append_dict(const Dict& dict, int depth) {
    if (dict.items.empty()) return out_.append("{}");
    std::vector<const std::pair<Value, Value>*> items;
    for (const auto& item : dict.items) items.push_back(&item);
    if (style_.sort_keys) {
      std::stable_sort(items.begin(), items.end(),
                       [this](const auto* a, const auto* b) { return runtime_.ordered(a->first, b->first, Order::kLess); });
    }
    out_.append('{');
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_.append(style_.item_separator);
      append_line(depth + 1);
      append_key(items[i]->first);
      out_.append(style_.key_separator);
      append(items[i]->second, depth + 1);
    }
    append_line(depth);
    out_.append('}');
  }

  void append_key(const Value& key) {
    if (const Str* str = as_str(key)) return append_string(str->text);
    out_.append('"');
    if (!append_scalar(key)) runtime_.fail("a key of type {} cannot be written as JSON", type_name(key));
    out_.append('"');
  }

  Runtime& runtime_;
  const JsonStyle& style_;
  Text out_;
};

}  // namespace

Value dump_json(Runtime& runtime, const Value& value, const JsonStyle& style) { return JsonWriter(runtime, style).write(value); }

}  // namespace citius::jinja
