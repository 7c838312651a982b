#include "store/model_files.h"

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "io/gguf.h"

namespace citius {
namespace {

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

std::string file_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

// Files of a Hugging Face directory that citius reads, `inner` relative to that directory. Folders are those of
// sentence-transformers modules ("1_Pooling/config.json") and of named chat templates.
bool is_model_file(const std::string& inner) {
  static const std::regex folders("([0-9]+_[A-Za-z]+/|additional_chat_templates/)?[^/]+");
  if (!std::regex_match(inner, folders)) return false;
  const std::string file = file_of(inner);
  for (const char* ending : {".json", ".txt", ".model", ".safetensors", ".jinja"}) {
    if (file.ends_with(ending)) return true;
  }
  return false;
}

// What a package consists of: the files that its citius.json lists, that file, and the report.
std::set<std::string> package_files(const std::string& citius, const std::string& where) {
  const json::value root = parse_json(citius, where);
  std::set<std::string> files = {"citius.json", "report.json", "report.html"};
  for (const auto& item : JsonObject(root, where).get_object("files").object()) files.emplace(item.key());
  return files;
}

// A folder that is listed in the modules.json above it holds a part of a model: without the pooling beside it, its vectors are
// others.
void refuse_module(const std::string& directory, const std::set<std::string>& paths, const std::string& where) {
  const std::string parent = directory.empty() ? "" : directory_of(directory.substr(0, directory.size() - 1));
  if (directory.empty() || !paths.contains(parent + "modules.json")) return;
  fail_input(where,
             "has its transformer in '{}', expected config.json and .safetensors beside '{}modules.json'; move the files of that "
             "folder there and set the module's path to \"\"",
             directory, parent);
}

// Parts of a split GGUF count as one file: the name without "-00001-of-00003".
std::string split_name(const std::string& path) {
  static const std::regex part("-[0-9]{5}-of-([0-9]{5})\\.gguf$", std::regex::icase);
  return std::regex_replace(path, part, "-of-$1.gguf");
}

std::string joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names.begin(), names.begin() + std::min<ptrdiff_t>(std::ssize(names), 10), ", "));
}

using GgufGroups = std::map<std::string, std::vector<std::string>>;

ModelFiles choose_gguf(const GgufGroups& groups, const std::string& wanted, const std::string& where) {
  std::vector<std::string> names;
  const std::vector<std::string>* chosen = nullptr;
  for (const auto& [name, files] : groups) {
    names.push_back(file_of(files.front()));
    const auto is_wanted = [&](const std::string& file) { return file == wanted || file_of(file) == wanted; };
    if (wanted.empty() ? groups.size() == 1 : std::any_of(files.begin(), files.end(), is_wanted)) chosen = &files;
  }
  if (chosen == nullptr && wanted.empty()) {
    fail_input(where, "has {} .gguf models: {}; choose one with --file", groups.size(), joined(names));
  }
  if (chosen == nullptr && names.empty()) fail_input(where, "has no .gguf file, expected '{}' as --file says", wanted);
  if (chosen == nullptr) fail_input(where, "has no file '{}', got: {}", wanted, joined(names));
  return {directory_of(chosen->front()), *chosen};
}

}  // namespace

void check_inner_path(const std::string& path, const std::string& where) {
  bool good = !path.empty() && path.front() != '/' && path.size() < 1024;
  for (const char c : path) good = good && static_cast<unsigned char>(c) >= 0x20 && c != '\\' && c != 0x7F;
  for (size_t begin = 0; good && begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    // A directory entry of an archive ends in '/': its last part is empty.
    good = part != "." && part != ".." && (!part.empty() || (end == path.size() && begin > 0));
    begin = end + 1;
  }
  if (!good) fail_input(where, "holds a file with the path '{}', expected one that stays inside", path);
}

ModelFiles choose_model_files(const std::vector<std::string>& paths, const std::string& wanted, const std::string& where,
                              const ReadText& read) {
  std::vector<std::string> directories;
  GgufGroups groups;
  for (const std::string& path : paths) {
    if (has_gguf_ending(path)) groups[split_name(path)].push_back(path);
    if (file_of(path) != "config.json") continue;
    const std::string directory = directory_of(path);
    const bool weights = std::any_of(paths.begin(), paths.end(), [&](const std::string& other) {
      return other.ends_with(".safetensors") && directory_of(other) == directory;
    });
    if (weights) directories.push_back(directory);
  }
  for (auto& [name, files] : groups) std::sort(files.begin(), files.end());
  if (!wanted.empty()) return choose_gguf(groups, wanted, where);
  // A dense layer of sentence-transformers has a config.json and weights too; it belongs to the model above it.
  const std::vector<std::string> all = directories;
  std::erase_if(directories, [&](const std::string& directory) {
    return std::any_of(all.begin(), all.end(),
                       [&](const std::string& other) { return other != directory && directory.starts_with(other); });
  });
  if (directories.size() > 1) {
    fail_input(where, "has {} models, in the folders: {}; pull one of them by its path", directories.size(), joined(directories));
  }
  if (directories.empty() && groups.empty()) {
    fail_input(where, "has no model: expected a .gguf file, or config.json with .safetensors beside it");
  }
  if (directories.empty()) return choose_gguf(groups, wanted, where);
  ModelFiles chosen{directories.front(), {}};
  const std::set<std::string> all_paths(paths.begin(), paths.end());
  refuse_module(chosen.directory, all_paths, where);
  const std::string citius = chosen.directory + "citius.json";
  const bool package = all_paths.contains(citius);
  const std::set<std::string> listed = package ? package_files(read(citius), where + ": " + citius) : std::set<std::string>();
  for (const std::string& path : paths) {
    if (!path.starts_with(chosen.directory)) continue;
    const std::string inner = path.substr(chosen.directory.size());
    if (package ? listed.contains(inner) : is_model_file(inner)) chosen.files.push_back(path);
  }
  return chosen;
}

}  // namespace citius
