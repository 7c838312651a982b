// The files of a model directory besides configuration and weights.
#pragma once

#include <filesystem>
#include <vector>

namespace citius {

/// Tokenizer, templates, generation settings, sentence-transformers modules and licences that `directory` has, by names
/// relative to it, sorted. Anything else there (weights of other formats, notes) is no part of the model.
std::vector<std::filesystem::path> companion_files(const std::filesystem::path& directory);

/// Those of them that running the model reads: not the licences, nor tokenizers in forms for other tools.
std::vector<std::filesystem::path> companions_read(const std::filesystem::path& directory);

}  // namespace citius
