// Which of many files make a model: one .gguf (or the parts of a split one), or a directory with config.json and
// safetensors, or a package of citius. Code, pickles and other engines' formats are never kept.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace citius {

struct ModelFiles {
  std::string directory;           // the model's directory inside the source, "" or ending in '/'
  std::vector<std::string> files;  // paths inside the source
};

/// The text of one of the source's files, which lists others; a list longer than kMaxListBytes is refused.
using ReadText = std::function<std::string(const std::string& path)>;
inline constexpr size_t kMaxListBytes = size_t{64} << 20;

/// Chooses among `paths` (relative, '/'-separated). `wanted`, where not empty, is the file name of the .gguf to take.
/// Of a package it takes what its citius.json lists. Throws Error{kInput} where there is none or more than one to choose from.
ModelFiles choose_model_files(const std::vector<std::string>& paths, const std::string& wanted, const std::string& where,
                              const ReadText& read);

/// Throws Error{kInput} unless `path` is relative, stays inside and is plainly written.
void check_inner_path(const std::string& path, const std::string& where);

}  // namespace citius
