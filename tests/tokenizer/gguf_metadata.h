// The tokenizer.* keys of a GGUF v2 or v3 file, for tests: trusts the file. The real reader is in src/io.
#pragma once

#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "base/file.h"
#include "tokenizer/tokenizer.h"

namespace citius {

class GgufMetadata {
 public:
  explicit GgufMetadata(const std::filesystem::path& path) : file_(path) {
    vocab_.where = path.string();
    at_ = 8;  // magic, version
    read<uint64_t>();
    const auto count = read<uint64_t>();
    for (uint64_t i = 0; i < count; ++i) {
      const std::string key = read_string();
      read_value(key, read<uint32_t>());
    }
  }
  const GgufVocab& vocab() const { return vocab_; }

 private:
  enum Type : uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };

  template <typename T>
  T read() {
    T value;
    std::memcpy(&value, file_.text().substr(at_, sizeof(T)).data(), sizeof(T));
    at_ += sizeof(T);
    return value;
  }

  std::string read_string() {
    const auto size = read<uint64_t>();
    at_ += size;
    return std::string(file_.text().substr(at_ - size, size));
  }

  void read_value(const std::string& key, uint32_t type) {
    static constexpr size_t kBytes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    const auto is = [&](const char* name) { return key == std::string("tokenizer.ggml.") + name; };
    if (type == kString) {
      const std::string value = read_string();
      if (is("model")) vocab_.model = value;
      if (is("pre")) vocab_.pre = value;
    } else if (type == kArray) {
      const auto element = read<uint32_t>();
      const auto count = read<uint64_t>();
      for (uint64_t i = 0; i < count; ++i) {
        if (element == kString) {
          std::string value = read_string();
          if (is("tokens"))
            vocab_.tokens.push_back(std::move(value));
          else if (is("merges"))
            vocab_.merges.push_back(std::move(value));
        } else if (is("scores")) {
          vocab_.scores.push_back(read<float>());
        } else if (is("token_type")) {
          vocab_.types.push_back(read<int32_t>());
        } else {
          at_ += kBytes[element];
        }
      }
    } else if (type == kBool) {
      const bool value = read<uint8_t>() != 0;
      if (is("add_bos_token")) vocab_.add_bos = value;
      if (is("add_eos_token")) vocab_.add_eos = value;
      if (is("add_space_prefix")) vocab_.add_space_prefix = value;
      if (is("remove_extra_whitespaces")) vocab_.remove_extra_whitespaces = value;
    } else if (type == kU32) {
      const auto value = read<uint32_t>();
      if (is("bos_token_id")) vocab_.bos_id = value;
      if (is("eos_token_id")) vocab_.eos_id = value;
      if (is("unknown_token_id")) vocab_.unk_id = value;
      if (is("seperator_token_id")) vocab_.sep_id = value;
      if (is("padding_token_id")) vocab_.pad_id = value;
      if (is("cls_token_id")) vocab_.cls_id = value;
      if (is("mask_token_id")) vocab_.mask_id = value;
    } else {
      at_ += kBytes[type];
    }
  }

  MappedFile file_;
  size_t at_ = 0;
  GgufVocab vocab_;
};

}  // namespace citius
