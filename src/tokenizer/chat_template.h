// Chat templates: the Jinja program of a model that turns a conversation into the text of a prompt. What transformers
// renders, this renders, to the byte; docs/chat-templates.md says what is supported and what the limits are. A
// ChatTemplate is compiled once and immutable: any number of threads may render at once.
#pragma once

#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"

namespace citius {

class ChatTemplate {
 public:
  /// The local time that strftime_now shows; tests give their own.
  using Clock = std::function<std::tm()>;
  /// A model may have several templates, by name: "default", "tool_use", "rag", ...
  using Named = std::vector<std::pair<std::string, std::string>>;

  /// `bos` and `eos` are the texts of those tokens, empty where the model has none (the template then finds bos_token
  /// undefined). Throws Error{kInput} for a template that does not compile.
  ChatTemplate(std::string source, std::string bos, std::string eos, Clock clock = {});
  ChatTemplate(const Named& sources, std::string bos, std::string eos, Clock clock = {});
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  /// The template of a Hugging Face directory: chat_template.jinja (with additional_chat_templates/NAME.jinja),
  /// chat_template.json, or `chat_template` of tokenizer_config.json, in that order. None where there is none.
  static std::optional<ChatTemplate> from_directory(const std::filesystem::path& directory, Clock clock = {});

  /// The prompt. Every message is an object, usually with `role` and `content`. `extra` gives the template further
  /// variables (tools, documents, enable_thinking, ...); `tools` and `documents` are None where it does not. `name`
  /// picks one of several templates; where it is empty, "tool_use" is taken if there are tools and such a template,
  /// else "default".
  /// Throws Error{kInput} where the template refuses the conversation (raise_exception), fails, or exceeds its limits.
  std::string render(const json::array& messages, bool add_generation_prompt, const json::object& extra = {},
                     std::string_view name = {}) const;

  /// Source of the default template, or of the named one. Throws Error{kUsage} where there is none of that name.
  const std::string& source(std::string_view name = {}) const;
  std::vector<std::string> names() const;

 private:
  struct Compiled;
  const Compiled& find(std::string_view name) const;

  std::vector<std::unique_ptr<Compiled>> templates_;
  json::object tokens_;  // bos_token, eos_token, ... as variables
  Clock clock_;
};

}  // namespace citius
