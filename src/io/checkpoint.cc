#include "io/checkpoint.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/error.h"
#include "base/file.h"
#include "io/config.h"
#include "io/gguf.h"
#include "io/package.h"
#include "io/safetensors.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxConfigBytes = size_t{16} << 20;  // id2label of tens of thousands of classes fits

json::object read_object(const fs::path& path) {
  json::value document = read_json(path, kMaxConfigBytes);
  if (!document.is_object()) fail_input(path.string(), "got {}, expected an object", std::string_view(json::to_string(document.kind())));
  return std::move(document.get_object());
}

// The only .gguf file of a directory, or the first part of the only split one; empty where there is none.
fs::path gguf_of_directory(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (!has_gguf_ending(it->path())) continue;
    const std::string name = it->path().filename().string();
    if (name.find("-of-") != std::string::npos && name.find("-00001-of-") == std::string::npos) continue;
    found.push_back(it->path());
  }
  std::sort(found.begin(), found.end());
  if (found.size() > 1) {
    fail_input(directory.string(), "holds {} .gguf files ('{}', '{}', ...); name one of them", found.size(), found[0].filename().string(),
               found[1].filename().string());
  }
  return found.empty() ? fs::path() : found[0];
}

// A directory without model.safetensors is a bare configuration, unless it holds weights in a form or under a name that is not read.
void refuse_other_weights(const fs::path& directory) {
  std::vector<std::string> found;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string ending = ascii_lower(it->path().extension().string()), name = it->path().filename().string();
    // What trainers leave beside a model.
    const bool state = std::ranges::any_of(std::array{"training_args", "optimizer", "scheduler", "rng_state", "scaler", "adapter_model"},
                                           [&](const char* start) { return name.starts_with(start); });
    if (state || !it->is_regular_file(error)) continue;
    for (const char* weights : {".bin", ".pt", ".pth", ".ckpt", ".onnx", ".h5", ".msgpack", ".safetensors", ".gguf"}) {
      if (ending == weights) found.push_back(name);
    }
  }
  if (found.empty()) return;
  fail_input(directory.string(), "got weights in '{}', expected model.safetensors (or its .index.json), or the path of a .gguf file",
             *std::ranges::min_element(found));
}

Checkpoint open_gguf(const fs::path& path) {
  Checkpoint checkpoint;
  checkpoint.path = path;
  checkpoint.gguf = GgufFile::open(path);
  checkpoint.config = config_from_gguf(*checkpoint.gguf);
  checkpoint.generation_config = generation_config_from_gguf(*checkpoint.gguf);
  checkpoint.weights = checkpoint.gguf;
  return checkpoint;
}

void refuse_quantized(const json::object& config, const fs::path& path) {
  const json::value* quantization = config.if_contains("quantization_config");
  if (quantization == nullptr || quantization->is_null()) return;
  const std::string method = JsonObject(*quantization, path.string() + ": quantization_config").get_string("quant_method", "unknown");
  fail_input(path.string(), "is quantized by '{}', which is not supported; use the original weights or a GGUF file", method);
}

void open_package(Checkpoint& checkpoint) {
  const fs::path file = checkpoint.path / "citius.json", metadata = checkpoint.path / "metadata.gguf";
  checkpoint.package = read_object(file);
  const int64_t version = JsonObject(checkpoint.package, file.string()).get_int("package_version");
  if (version != kPackageVersion) {
    fail_input(file.string(), "package_version is {}, expected {}; use the version of citius that wrote it", version, kPackageVersion);
  }
  if (is_there(metadata)) {
    checkpoint.gguf = GgufFile::open(metadata);
    checkpoint.generation_config = generation_config_from_gguf(*checkpoint.gguf);
  }
  checkpoint.weights = open_package_weights(checkpoint.path, checkpoint.is_gguf());
}

Checkpoint open_directory(const fs::path& path) {
  if (!is_there(path / "config.json")) {
    if (const fs::path gguf = gguf_of_directory(path); !gguf.empty()) return open_gguf(gguf);
    const bool modules = is_there(path / "modules.json");
    fail_input(
        path.string(), "has neither a config.json nor a .gguf file; {}",
        modules ? "expected the transformer's files beside modules.json, not in a folder of their own" : "expected a model directory");
  }
  Checkpoint checkpoint;
  checkpoint.path = path;
  const fs::path config = path / "config.json";
  checkpoint.config = normalize_config(read_object(config), config.string());
  if (is_there(path / "generation_config.json")) checkpoint.generation_config = read_object(path / "generation_config.json");
  if (is_package(path)) {
    open_package(checkpoint);
  } else {
    refuse_quantized(checkpoint.config, config);
    checkpoint.weights = open_safetensors(path);
    if (checkpoint.weights == nullptr) refuse_other_weights(path);
  }
  return checkpoint;
}

}  // namespace

std::string Checkpoint::model_type() const { return JsonObject(config, path.string()).get_string("model_type"); }

Checkpoint open_checkpoint(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (!fs::exists(status)) fail_input(path.string(), "does not exist; expected a model directory, a .gguf file or a config.json");
  if (fs::is_directory(status)) return open_directory(path);
  const std::string name = path.filename().string();
  if (has_gguf_ending(path)) return open_gguf(path);
  if (name.ends_with(".json")) {
    Checkpoint checkpoint;
    checkpoint.path = path;
    checkpoint.config = normalize_config(read_object(path), path.string());
    refuse_quantized(checkpoint.config, path);
    return checkpoint;
  }
  if (name.ends_with(".safetensors")) fail_input(path.string(), "has no configuration; name the directory that holds it");
  fail_input(path.string(), "is not a model; expected a model directory, a .gguf file or a config.json");
}

}  // namespace citius
