#include "io/sentence_transformers.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "io/gguf.h"

namespace citius {
namespace {

constexpr size_t kMaxBytes = size_t{16} << 20;

// In the order in which sentence-transformers concatenates them.
constexpr std::pair<const char*, const char*> kPoolingKeys[] = {
    {"pooling_mode_cls_token", "cls"},
    {"pooling_mode_max_tokens", "max"},
    {"pooling_mode_mean_tokens", "mean"},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"},
    {"pooling_mode_weightedmean_tokens", "weightedmean"},
    {"pooling_mode_lasttoken", "lasttoken"},
};

std::string last_part(const std::string& class_name) {
  std::string name = class_name.substr(class_name.rfind('.') + 1);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

std::vector<std::string> read_pooling(const std::filesystem::path& path, const std::string& given) {
  const json::value root = read_json(path, kMaxBytes);
  const JsonObject config(root, path.string());
  if (!config.get_bool("include_prompt", true)) fail_input(path.string(), "include_prompt false is not supported");
  if (!given.empty()) return {given};
  std::vector<std::string> modes;
  if (config.has("pooling_mode")) {
    modes = config.at("pooling_mode").is_array() ? config.get_strings("pooling_mode") : std::vector{config.get_string("pooling_mode")};
  } else {
    for (const auto& [key, mode] : kPoolingKeys) {
      if (config.get_bool(key, false)) modes.emplace_back(mode);
    }
  }
  if (modes.empty()) fail_input(path.string(), "names no pooling mode");
  return modes;
}

SentenceTransformersConfig::Dense read_dense(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "config.json";
  const json::value root = read_json(path, kMaxBytes);
  const JsonObject config(root, path.string());
  SentenceTransformersConfig::Dense dense;
  dense.directory = directory;
  dense.inputs = config.get_int("in_features");
  dense.outputs = config.get_int("out_features");
  dense.bias = config.get_bool("bias", true);
  dense.activation = last_part(config.get_string("activation_function", "torch.nn.modules.activation.Tanh"));
  if (dense.inputs < 1 || dense.outputs < 1) fail_input(path.string(), "sizes must be positive");
  return dense;
}

std::filesystem::path module_directory(const std::filesystem::path& directory, const std::string& path) {
  if (path.starts_with("/") || path.find("..") != std::string::npos) {
    fail_input((directory / "modules.json").string(), "module path '{}' leaves the directory", path);
  }
  return directory / path;
}

void read_modules(const std::filesystem::path& directory, const std::string& pooling, SentenceTransformersConfig& config) {
  const std::filesystem::path path = directory / "modules.json";
  const json::value root = read_json(path, kMaxBytes);
  if (!root.is_array()) fail_input(path.string(), "expected a list of modules");
  size_t number = 0;
  for (const json::value& item : root.get_array()) {
    const JsonObject module(item, path.string());
    const std::string type = last_part(module.get_string("type")), folder = module.get_string("path", "");
    const std::filesystem::path place = module_directory(directory, folder);
    const bool pools = type == "pooling", may_pool = number == 1, must_pool = may_pool && pooling.empty();
    if ((type == "transformer") != (number == 0) || (pools ? !may_pool : must_pool)) {
      fail_input(path.string(), "module {} is '{}', expected Transformer, Pooling, and then Dense and Normalize", number, type);
    }
    if (type == "transformer" && !folder.empty() && folder != ".") {
      fail_input(path.string(), "has its transformer in '{}', expected it beside this file; move the files of that folder here", folder);
    }
    if (pools) {
      config.pooling = read_pooling(place / "config.json", pooling);
    } else if (type == "dense") {
      config.steps.emplace_back(read_dense(place));
    } else if (type == "normalize") {
      config.steps.emplace_back();
    } else if (type != "transformer") {
      fail_input(path.string(), "module '{}' is not supported, expected Transformer, Pooling, Dense or Normalize", type);
    }
    ++number;
  }
}

void read_limits(const std::filesystem::path& directory, SentenceTransformersConfig& config) {
  for (const char* name : kLengthLimitFiles) {
    const std::filesystem::path limits = directory / name;
    if (!is_there(limits)) continue;
    const json::value root = read_json(limits, kMaxBytes);
    const JsonObject object(root, limits.string());
    if (object.object().empty()) continue;
    if (object.has("max_seq_length")) config.max_seq_length = object.get_int("max_seq_length");
    if (config.max_seq_length && *config.max_seq_length < 3)
      fail_input(limits.string(), "max_seq_length {} is too small", *config.max_seq_length);
    if (object.get_bool("do_lower_case", false)) fail_input(limits.string(), "do_lower_case is not supported; lower the text beforehand");
    return;
  }
}

}  // namespace

SentenceTransformersConfig read_sentence_transformers(const std::filesystem::path& directory, const std::string& pooling) {
  SentenceTransformersConfig config;
  if (is_there(directory / "modules.json")) {
    if (!pooling.empty()) config.pooling = {pooling};
    read_modules(directory, pooling, config);
    if (config.pooling.empty()) {
      fail_input((directory / "modules.json").string(), "has no Pooling module, expected one; embed --pooling names a pooling");
    }
  } else {
    config.pooling_assumed = pooling.empty();
    config.pooling = {config.pooling_assumed ? "mean" : pooling};
  }
  read_limits(directory, config);
  const std::filesystem::path prompts = directory / "config_sentence_transformers.json";
  if (is_there(prompts)) {
    const json::value root = read_json(prompts, kMaxBytes);
    const JsonObject object(root, prompts.string());
    if (object.has("default_prompt_name"))
      config.prompt = object.get_object("prompts").get_string(object.get_string("default_prompt_name"));
    if (object.has("truncate_dim")) config.truncate_dim = object.get_int("truncate_dim");
    if (config.truncate_dim && *config.truncate_dim < 1) {
      fail_input(prompts.string(), "truncate_dim: got {}, expected 1 or more", *config.truncate_dim);
    }
  }
  return config;
}

SentenceTransformersConfig read_sentence_transformers(const Checkpoint& checkpoint, const std::string& pooling) {
  if (!checkpoint.is_gguf()) {
    if (std::filesystem::is_directory(checkpoint.path)) return read_sentence_transformers(checkpoint.path, pooling);
    return {.pooling = {pooling.empty() ? "mean" : pooling}, .pooling_assumed = pooling.empty()};
  }
  const GgufFile& gguf = *checkpoint.gguf;
  const std::string key = gguf.get_string("general.architecture").value_or("") + ".pooling_type";
  const int64_t type = gguf.get_int(key).value_or(1);
  constexpr const char* kModes[] = {"", "mean", "cls", "lasttoken"};
  if (!pooling.empty()) return {.pooling = {pooling}, .steps = {std::nullopt}};
  if (type < 1 || type > 3) {
    fail_input(gguf.where(), "{} is {}, expected 1 (mean), 2 (CLS) or 3 (last token); embed --pooling names a pooling", key, type);
  }
  return {.pooling = {kModes[type]}, .steps = {std::nullopt}, .pooling_assumed = !gguf.get_int(key)};
}

}  // namespace citius
