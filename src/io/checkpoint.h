// A checkpoint on disk: a Hugging Face directory, a .gguf file or a citius package, opened once for configuration, weights
// and tokenizer.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "io/weight_source.h"

namespace citius {

class GgufFile;

struct Checkpoint {
  std::filesystem::path path;
  /// config.json. For a GGUF file the same keys, made from its metadata (architecture "llama" becomes model_type "llama",
  /// llama.block_count becomes num_hidden_layers, ...), so that a model has one configuration reader.
  json::object config;
  /// generation_config.json, or what GGUF metadata says (eos, bos); empty where absent.
  json::object generation_config;
  /// citius.json of a package; empty elsewhere.
  json::object package;
  /// Null where there is only a configuration: a config.json, or a directory with one and no weights.
  std::shared_ptr<const TensorContainer> weights;
  /// Set for GGUF files: metadata for the tokenizer.
  std::shared_ptr<const GgufFile> gguf;

  bool is_gguf() const { return gguf != nullptr; }
  /// config "model_type", e.g. "bert" or "llama".
  std::string model_type() const;
};

/// Opens a model directory, a .gguf file (or the first of a split one) or a bare config.json. Tensor data is mapped, headers
/// are validated. Throws Error{kInput}.
Checkpoint open_checkpoint(const std::filesystem::path& path);

}  // namespace citius
