// The tokenizer of a checkpoint: its tokenizer files, or the vocabulary inside a GGUF file.
#pragma once

#include <filesystem>
#include <memory>

#include "io/checkpoint.h"
#include "runtime/start_cache.h"
#include "tokenizer/tokenizer.h"

namespace citius {

/// Null where the checkpoint has no tokenizer (a bare config.json). Throws Error{kInput} where it is damaged.
std::unique_ptr<Tokenizer> load_tokenizer(const Checkpoint& checkpoint, const StartCache& cache = {});

/// Whether Tokenizer::from_directory has something to read there.
bool has_tokenizer_files(const std::filesystem::path& directory);

}  // namespace citius
