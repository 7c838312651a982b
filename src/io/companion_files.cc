#include "io/companion_files.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "base/json.h"
#include "io/sentence_transformers.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNames[] = {"generation_config.json",
                                  "tokenizer.json",
                                  "tokenizer_config.json",
                                  "special_tokens_map.json",
                                  "vocab.txt",
                                  "vocab.json",
                                  "merges.txt",
                                  "encoder.json",
                                  "vocab.bpe",
                                  "chat_template.jinja",
                                  "chat_template.json",
                                  "modules.json",
                                  "config_sentence_transformers.json"};
// For other tools and for people.
constexpr const char* kUnread[] = {"added_tokens.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
                                   "LICENSE",           "LICENSE.txt",     "LICENSE.md",   "NOTICE"};
constexpr const char* kModuleFiles[] = {"config.json", "model.safetensors"};

void add_present(const fs::path& directory, std::span<const char* const> names, std::vector<fs::path>& files) {
  std::error_code ignored;
  for (const char* name : names) {
    if (fs::is_regular_file(directory / name, ignored)) files.emplace_back(name);
  }
}

// What sentence-transformers modules have in their directories ("1_Pooling").
void add_modules(const fs::path& directory, std::vector<fs::path>& files) {
  std::error_code error;
  const fs::path list = directory / "modules.json";
  if (!fs::exists(list, error)) return;
  const json::value modules = read_json(list, size_t{1} << 20);
  if (!modules.is_array()) fail_input(list.string(), "is not a list of modules");
  for (const json::value& item : modules.get_array()) {
    const std::string name = JsonObject(item, list.string()).get_string("path", "");
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos || !fs::is_directory(directory / name, error))
      continue;
    for (const char* file : kModuleFiles) {
      if (fs::is_regular_file(directory / name / file, error)) files.push_back(fs::path(name) / file);
    }
  }
}

}  // namespace

std::vector<fs::path> companions_read(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  add_present(directory, kNames, files);
  add_present(directory, kLengthLimitFiles, files);
  const fs::path templates = "additional_chat_templates";
  if (fs::is_directory(directory / templates, error)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(directory / templates)) {
      if (entry.path().extension() == ".jinja") files.push_back(templates / entry.path().filename());
    }
  }
  add_modules(directory, files);
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<fs::path> companion_files(const fs::path& directory) {
  std::vector<fs::path> files = companions_read(directory);
  add_present(directory, kUnread, files);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace citius
