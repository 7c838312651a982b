#include "runtime/load_tokenizer.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "io/gguf.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxTemplateBytes = size_t{4} << 20;
constexpr size_t kMaxTokenizerConfigBytes = size_t{64} << 20;

// Older files write -1 as u32 for "none".
std::optional<uint32_t> token_id(const GgufFile& gguf, std::string_view key) {
  const std::optional<int64_t> id = gguf.get_int(key);
  if (!id || *id < 0 || *id >= 0xffffffff) return std::nullopt;
  return static_cast<uint32_t>(*id);
}

std::optional<uint32_t> token_id(const GgufFile& gguf, std::string_view key, std::string_view other) {
  const std::optional<uint32_t> id = token_id(gguf, key);
  return id ? id : token_id(gguf, other);
}

std::string byte_array(const GgufFile& gguf, std::string_view key) {
  const GgufValue* value = gguf.find(key);
  if (value == nullptr) return "";
  if (value->type != GgufType::kArray || (value->element != GgufType::kU8 && value->element != GgufType::kI8)) {
    fail_input(gguf.where(), "metadata key '{}' is not an array of bytes", key);
  }
  return {reinterpret_cast<const char*>(value->payload.data()), value->payload.size()};
}

GgufVocab read_vocab(const GgufFile& gguf) {
  GgufVocab vocab;
  vocab.where = gguf.where();
  vocab.model = *gguf.get_string("tokenizer.ggml.model");
  vocab.pre = gguf.get_string("tokenizer.ggml.pre").value_or("");
  vocab.tokens = gguf.get_strings("tokenizer.ggml.tokens").value_or(std::vector<std::string>());
  vocab.scores = gguf.get_floats("tokenizer.ggml.scores").value_or(std::vector<float>());
  for (int64_t type : gguf.get_ints("tokenizer.ggml.token_type").value_or(std::vector<int64_t>())) {
    vocab.types.push_back(type < 0 || type > 255 ? 0 : static_cast<int32_t>(type));
  }
  vocab.merges = gguf.get_strings("tokenizer.ggml.merges").value_or(std::vector<std::string>());
  vocab.bos_id = token_id(gguf, "tokenizer.ggml.bos_token_id");
  vocab.eos_id = token_id(gguf, "tokenizer.ggml.eos_token_id");
  vocab.unk_id = token_id(gguf, "tokenizer.ggml.unknown_token_id");
  vocab.sep_id = token_id(gguf, "tokenizer.ggml.seperator_token_id", "tokenizer.ggml.separator_token_id");
  vocab.pad_id = token_id(gguf, "tokenizer.ggml.padding_token_id");
  vocab.cls_id = token_id(gguf, "tokenizer.ggml.cls_token_id");
  vocab.mask_id = token_id(gguf, "tokenizer.ggml.mask_token_id");
  vocab.eot_id = token_id(gguf, "tokenizer.ggml.eot_token_id");
  vocab.add_bos = gguf.get_bool("tokenizer.ggml.add_bos_token");
  vocab.add_eos = gguf.get_bool("tokenizer.ggml.add_eos_token");
  vocab.add_sep = gguf.get_bool("tokenizer.ggml.add_sep_token");
  vocab.add_space_prefix = gguf.get_bool("tokenizer.ggml.add_space_prefix");
  vocab.remove_extra_whitespaces = gguf.get_bool("tokenizer.ggml.remove_extra_whitespaces");
  vocab.precompiled_charsmap = byte_array(gguf, "tokenizer.ggml.precompiled_charsmap");
  return vocab;
}

[[noreturn]] void no_such_template(const std::string& where, std::string_view name) {
  fail_input(where, "has no chat template named '{}'", name);
}

// "chat_template" of tokenizer_config.json or chat_template.json: one string, or a list of {name, template}.
std::optional<std::string> template_of_config(const fs::path& path, std::string_view name) {
  if (!is_there(path)) return std::nullopt;
  const json::value document = read_json(path, kMaxTokenizerConfigBytes);
  const JsonObject config(document, path.string());
  if (!config.has("chat_template")) return std::nullopt;
  if (!config.at("chat_template").is_array()) {
    if (!name.empty() && name != "default") no_such_template(path.string(), name);
    return config.get_string("chat_template");
  }
  const std::string_view wanted = name.empty() ? "default" : name;
  for (const json::value& item : config.get_array("chat_template")) {
    const JsonObject entry(item, path.string() + ": chat_template");
    if (entry.get_string("name") == wanted) return entry.get_string("template");
  }
  if (name.empty()) return std::nullopt;
  no_such_template(path.string(), name);
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const Checkpoint& checkpoint) {
  if (checkpoint.is_gguf()) {
    if (!checkpoint.gguf->has_key("tokenizer.ggml.model")) return nullptr;
    return Tokenizer::from_gguf(read_vocab(*checkpoint.gguf));
  }
  for (const char* name : {"tokenizer.json", "vocab.json", "vocab.txt"}) {
    if (is_there(checkpoint.path / name)) return Tokenizer::from_directory(checkpoint.path);
  }
  return nullptr;
}

std::optional<std::string> load_chat_template(const Checkpoint& checkpoint, std::string_view name) {
  const bool named = !name.empty() && name != "default";
  if (checkpoint.is_gguf()) {
    const std::string key = named ? "tokenizer.chat_template." + std::string(name) : "tokenizer.chat_template";
    std::optional<std::string> text = checkpoint.gguf->get_string(key);
    if (named && !text) no_such_template(checkpoint.path.string(), name);
    return text;
  }
  const fs::path file =
      named ? checkpoint.path / "additional_chat_templates" / (std::string(name) + ".jinja") : checkpoint.path / "chat_template.jinja";
  if (named && name.find('/') != std::string_view::npos) no_such_template(checkpoint.path.string(), name);
  if (is_there(file)) return read_file(file, kMaxTemplateBytes);
  for (const char* config : {"tokenizer_config.json", "chat_template.json"}) {
    if (auto text = template_of_config(checkpoint.path / config, name)) return text;
  }
  if (named) no_such_template(checkpoint.path.string(), name);
  return std::nullopt;
}

}  // namespace citius
