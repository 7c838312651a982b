// What the tokenizer tests share: golden files, shared data, encodings as lines of text.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "tokenizer/tokenizer.h"

namespace citius {

inline std::filesystem::path golden_path(const std::string& name) {
  return std::filesystem::path(CITIUS_TEST_DIR) / "golden" / "tokenizer" / name;
}

inline std::filesystem::path shared_path(const std::string& name) {
  const char* root = std::getenv("CITIUS_SHARED");
  const std::filesystem::path base =
      root != nullptr ? std::filesystem::path(root) : std::filesystem::path(CITIUS_TEST_DIR) / ".." / ".." / "shared";
  return base / "data" / name;
}

/// The line that make.py writes for an encoding.
inline std::string line_of(const Encoding& encoding, const std::string& decoded) {
  std::string ids, offsets, types, words;
  const auto add = [](std::string& list, const std::string& item) { list += (list.empty() ? "" : ",") + item; };
  for (size_t i = 0; i < encoding.size(); ++i) {
    add(ids, std::to_string(encoding.ids[i]));
    add(offsets, std::to_string(encoding.offsets[i].begin) + ":" + std::to_string(encoding.offsets[i].end));
    add(types, std::to_string(encoding.type_ids[i]));
    add(words, std::to_string(encoding.word_ids[i]));
  }
  return ids + "|" + offsets + "|" + types + "|" + words + "|" + decoded;
}

inline std::string decode_streaming(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, bool skip_special) {
  StreamDecoder stream(tokenizer, skip_special);
  std::string text;
  for (const int32_t id : ids) text += stream.push(id);
  return text + stream.finish();
}

}  // namespace citius
