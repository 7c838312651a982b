// The tokenizer of a checkpoint: its tokenizer files, or the vocabulary inside a GGUF file.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "io/checkpoint.h"
#include "tokenizer/tokenizer.h"

namespace citius {

/// Null where the checkpoint has no tokenizer (a bare config.json). Throws Error{kInput} where it is damaged.
std::unique_ptr<Tokenizer> load_tokenizer(const Checkpoint& checkpoint);

/// The Jinja source of the checkpoint's chat template; nullopt where it has none. Several named templates: "default", or
/// the one that `name` asks for (an error where it is absent).
std::optional<std::string> load_chat_template(const Checkpoint& checkpoint, std::string_view name = "");

}  // namespace citius
