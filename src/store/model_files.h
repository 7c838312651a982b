// Which of many files make a model: one .gguf (or the parts of a split one), or a directory with config.json and
// safetensors. Code, pickles and other engines' formats are never kept.
#pragma once

#include <string>
#include <vector>

namespace citius {

struct ModelFiles {
  std::string directory;           // the model's directory inside the source, "" or ending in '/'
  std::vector<std::string> files;  // paths inside the source
};

/// Chooses among `paths` (relative, '/'-separated). `wanted`, where not empty, is the file name of the .gguf to take.
/// Throws Error{kInput} where there is none or more than one to choose from.
ModelFiles choose_model_files(const std::vector<std::string>& paths, const std::string& wanted, const std::string& where);

/// Throws Error{kInput} unless `path` is relative, stays inside and is plainly written.
void check_inner_path(const std::string& path, const std::string& where);

}  // namespace citius
