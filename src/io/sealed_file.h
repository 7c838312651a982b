// Bytes by name in a file that a later start takes as they are: a safetensors file, and beside it a seal, which names the file as it was
// written. One that was changed since is not used.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/safetensors.h"

namespace citius {

/// Behind the name of a sealed file. A use counts as a change of the seal.
inline constexpr const char* kSealEnding = ".seal";

/// Null where there is no file under its seal. One that is damaged is told of in a warning that ends with `consequence`.
std::shared_ptr<const SafetensorsFile> open_sealed(const std::filesystem::path& path, std::string_view consequence);

/// Writes beside and renames; each is aligned where those before it are multiples of its alignment, up to 64 bytes. `progress` is told the
/// bytes written so far. Throws Error{kResource} where it cannot be written.
void write_sealed(const std::filesystem::path& path, const std::vector<std::pair<std::string, std::span<const std::byte>>>& entries,
                  const std::function<void(uint64_t)>& progress = {});

}  // namespace citius
