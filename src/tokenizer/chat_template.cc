#include "tokenizer/chat_template.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "tokenizer/jinja/interpreter.h"
#include "tokenizer/jinja/text.h"

namespace citius {
namespace {

using jinja::Runtime;
using jinja::Value;

constexpr size_t kMaxSource = size_t{4} << 20;
// A long conversation needs some thousand steps a message; a step takes 50 to 100 ns.
constexpr size_t kBaseWork = 5'000'000;
constexpr size_t kBaseBytes = size_t{64} << 20;
constexpr int kMaxInputDepth = 100;

std::tm local_time() {
  const std::time_t now = std::time(nullptr);
  std::tm out{};
  localtime_r(&now, &out);
  return out;
}

/// Bytes of text and number of values, which the limits grow with.
size_t measure(const json::value& value, int depth) {
  if (depth > kMaxInputDepth) fail_input("chat template", "the conversation is nested deeper than {}", kMaxInputDepth);
  size_t size = 16;
  if (const auto* text = value.if_string()) size += text->size();
  if (const auto* array = value.if_array()) {
    for (const json::value& item : *array) size += measure(item, depth + 1);
  }
  if (const auto* object = value.if_object()) {
    for (const auto& [key, item] : *object) size += key.size() + measure(item, depth + 1);
  }
  return size;
}

Value make_text(Runtime& runtime, std::string_view text) {
  const bool valid = jinja::find_invalid_utf8(text) == std::string_view::npos;
  return runtime.str(valid ? std::string(text) : jinja::replace_invalid_utf8(text));
}

Value from_json(Runtime& runtime, const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return jinja::None{};
    case json::kind::bool_: return value.get_bool();
    case json::kind::int64: return value.get_int64();
    case json::kind::uint64: runtime.fail("the number {} does not fit into 64 bits with a sign", value.get_uint64());
    case json::kind::double_: return value.get_double();
    case json::kind::string: return make_text(runtime, value.get_string());
    case json::kind::array: {
      jinja::Items items(runtime);
      for (const json::value& item : value.get_array()) items.push(from_json(runtime, item));
      return items.finish();
    }
    case json::kind::object: break;
  }
  jinja::Dict dict;
  for (const auto& [key, item] : value.get_object()) {
    runtime.set_item(dict, make_text(runtime, key), from_json(runtime, item));
  }
  return runtime.dict(std::move(dict));
}

/// A message as transformers passes it on: reasoning stands under its standard name and one older one.
Value from_message(Runtime& runtime, const json::value& value) {
  const json::object* message = value.if_object();
  if (message == nullptr) fail_input("chat template", "a message is not an object");
  const json::value* reasoning = nullptr;
  for (const char* key : {"reasoning_content", "thinking", "reasoning"}) {
    const json::value* found = message->if_contains(key);
    if (reasoning == nullptr && found != nullptr && !found->is_null()) reasoning = found;
  }
  if (reasoning == nullptr) return from_json(runtime, value);
  json::object aliased;
  aliased["thinking"] = *reasoning;
  for (const auto& [key, item] : *message) aliased[key] = item;
  aliased["reasoning_content"] = *reasoning;
  return from_json(runtime, aliased);
}

}  // namespace

struct ChatTemplate::Compiled {
  std::string name;
  std::string source;
  jinja::Template parsed;
};

ChatTemplate::ChatTemplate(std::string source, std::string bos, std::string eos, Clock clock)
    : ChatTemplate(Named{{"default", std::move(source)}}, std::move(bos), std::move(eos), std::move(clock)) {}

ChatTemplate::ChatTemplate(const Named& sources, std::string bos, std::string eos, Clock clock)
    : clock_(clock ? std::move(clock) : Clock(local_time)) {
  for (const auto& [name, source] : sources) {
    if (source.size() > kMaxSource) {
      fail_input("chat template", "got {} bytes, expected at most {}", source.size(), kMaxSource);
    }
    const size_t invalid = jinja::find_invalid_utf8(source);
    if (invalid != std::string::npos) fail_input("chat template", "is not valid UTF-8 at byte {}", invalid);
    templates_.push_back(std::make_unique<Compiled>(Compiled{name, source, jinja::parse_template(source)}));
  }
  if (templates_.empty()) fail_input("chat template", "the list of templates is empty");
  if (!bos.empty()) tokens_["bos_token"] = bos;
  if (!eos.empty()) tokens_["eos_token"] = eos;
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

const ChatTemplate::Compiled& ChatTemplate::find(std::string_view name) const {
  const auto search = [&](std::string_view wanted) {
    const auto found = std::find_if(templates_.begin(), templates_.end(), [&](const auto& t) { return t->name == wanted; });
    return found == templates_.end() ? nullptr : found->get();
  };
  if (name.empty() && templates_.size() == 1) return *templates_[0];
  const Compiled* found = search(name.empty() ? "default" : name);
  if (found != nullptr) return *found;
  std::string known;
  for (const auto& entry : templates_) known += (known.empty() ? "" : ", ") + entry->name;
  fail(ErrorKind::kUsage, "chat template", "there is no template '{}', expected one of {}", name.empty() ? "default" : name, known);
}

std::string ChatTemplate::render(const json::array& messages, bool add_generation_prompt, const json::object& extra,
                                 std::string_view name) const {
  const auto has_template = [&](std::string_view wanted) {
    return std::any_of(templates_.begin(), templates_.end(), [&](const auto& t) { return t->name == wanted; });
  };
  const json::value* tools = extra.if_contains("tools");
  if (name.empty() && tools != nullptr && !tools->is_null() && has_template("tool_use")) name = "tool_use";
  const Compiled& compiled = find(name);

  size_t size = 0;
  for (const json::value& message : messages) size += measure(message, 0);
  for (const auto& [key, value] : extra) size += key.size() + measure(value, 0);
  Runtime runtime(kBaseWork + 64 * size, kBaseBytes + 64 * size);
  jinja::Interpreter interpreter(compiled.parsed, runtime, clock_);
  const auto set = [&](std::string_view key, const json::value& value) {
    interpreter.set_variable(std::string(key), from_json(runtime, value));
  };
  set("tools", nullptr);
  set("documents", nullptr);
  for (const auto& [key, value] : tokens_) set(key, value);
  for (const auto& [key, value] : extra) set(key, value);
  set("add_generation_prompt", add_generation_prompt);
  jinja::Items items(runtime);
  for (const json::value& message : messages) items.push(from_message(runtime, message));
  interpreter.set_variable("messages", items.finish());
  return interpreter.render();
}

const std::string& ChatTemplate::source(std::string_view name) const { return find(name).source; }

std::vector<std::string> ChatTemplate::names() const {
  std::vector<std::string> names;
  for (const auto& entry : templates_) names.push_back(entry->name);
  return names;
}

namespace {

/// The text of a token in tokenizer_config.json, which is a string or an object with `content`.
std::string token_text(const json::value& value) {
  if (const auto* text = value.if_string()) return std::string(*text);
  const json::object* object = value.if_object();
  const json::value* content = object == nullptr ? nullptr : object->if_contains("content");
  return content != nullptr && content->is_string() ? std::string(content->get_string()) : std::string();
}

/// `chat_template` of a JSON file: one text, or a list of {name, template}.
ChatTemplate::Named read_named(const json::value& value, const std::string& where) {
  if (const auto* text = value.if_string()) return {{"default", std::string(*text)}};
  const json::array* list = value.if_array();
  if (list == nullptr) fail_input(where, "key 'chat_template': got neither a string nor a list");
  ChatTemplate::Named named;
  for (const json::value& item : *list) {
    const JsonObject entry(item, where + ": chat_template");
    named.emplace_back(entry.get_string("name"), entry.get_string("template"));
  }
  return named;
}

ChatTemplate::Named read_sources(const std::filesystem::path& directory, const json::value& config) {
  namespace fs = std::filesystem;
  ChatTemplate::Named named;
  if (is_there(directory / "chat_template.jinja")) {
    named.emplace_back("default", read_file(directory / "chat_template.jinja", kMaxSource));
  }
  std::error_code absent;
  for (const auto& entry : fs::directory_iterator(directory / "additional_chat_templates", absent)) {
    if (entry.path().extension() != ".jinja") continue;
    named.emplace_back(entry.path().stem().string(), read_file(entry.path(), kMaxSource));
  }
  if (!named.empty()) return named;
  const fs::path legacy = directory / "chat_template.json";
  if (is_there(legacy)) {
    const json::value file = read_json(legacy, 2 * kMaxSource);
    return read_named(JsonObject(file, legacy.string()).at("chat_template"), legacy.string());
  }
  const json::object* object = config.if_object();
  const json::value* value = object == nullptr ? nullptr : object->if_contains("chat_template");
  if (value == nullptr || value->is_null()) return {};
  return read_named(*value, (directory / "tokenizer_config.json").string());
}

}  // namespace

std::optional<ChatTemplate> ChatTemplate::from_directory(const std::filesystem::path& directory, Clock clock) {
  const std::filesystem::path config_path = directory / "tokenizer_config.json";
  json::value config;
  if (is_there(config_path)) config = read_json(config_path, size_t{64} << 20);
  const Named named = read_sources(directory, config);
  if (named.empty()) return std::nullopt;
  ChatTemplate made(named, "", "", std::move(clock));
  if (const json::object* object = config.if_object()) {
    for (const char* key : {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}) {
      const json::value* value = object->if_contains(key);
      const std::string text = value == nullptr ? "" : token_text(*value);
      if (!text.empty()) made.tokens_[key] = text;
    }
  }
  return made;
}

}  // namespace citius
