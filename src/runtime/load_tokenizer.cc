#include "runtime/load_tokenizer.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/file.h"
#include "io/gguf.h"

namespace citius {
namespace {

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

// The lists go by themselves: they take long, and a start that finds them compiled does without.
void read_lists(const GgufFile& gguf, GgufVocab& vocab) {
  vocab.tokens = gguf.get_strings("tokenizer.ggml.tokens").value_or(std::vector<std::string>());
  vocab.scores = gguf.get_floats("tokenizer.ggml.scores").value_or(std::vector<float>());
  for (int64_t type : gguf.get_ints("tokenizer.ggml.token_type").value_or(std::vector<int64_t>())) {
    vocab.types.push_back(type < 0 || type > 255 ? 0 : static_cast<int32_t>(type));
  }
  vocab.merges = gguf.get_strings("tokenizer.ggml.merges").value_or(std::vector<std::string>());
}

GgufVocab read_vocab(const GgufFile& gguf) {
  GgufVocab vocab;
  vocab.where = gguf.where();
  vocab.model = *gguf.get_string("tokenizer.ggml.model");
  vocab.pre = gguf.get_string("tokenizer.ggml.pre").value_or("");
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

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const Checkpoint& checkpoint, const StartCache& cache) {
  if (!checkpoint.is_gguf()) {
    return has_tokenizer_files(checkpoint.path) ? cache.open(Tokenizer::source(checkpoint.path)) : nullptr;
  }
  const GgufFile& gguf = *checkpoint.gguf;
  if (!gguf.has_key("tokenizer.ggml.model")) return nullptr;
  GgufVocab vocab = read_vocab(gguf);
  TokenizerSource source;
  source.parts = {{gguf.files()[0], gguf.header_bytes()}};
  source.compile = [&] {
    read_lists(gguf, vocab);
    return Tokenizer::compile(vocab);
  };
  source.open = [&](const Tables& tables) { return Tokenizer::from_gguf(vocab, tables); };
  return cache.open(source);
}

bool has_tokenizer_files(const std::filesystem::path& directory) {
  constexpr const char* kNames[] = {"tokenizer.json", "vocab.json", "encoder.json", "vocab.txt"};
  return std::any_of(std::begin(kNames), std::end(kNames), [&](const char* name) { return is_there(directory / name); });
}

}  // namespace citius
