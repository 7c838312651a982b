// Digests of a package: of every file that running it needs, and of citius.json itself.
#pragma once

#include <filesystem>
#include <string>

#include "base/json.h"

namespace citius {

/// SHA-256 of every file below `directory`, by relative path, sorted.
json::object file_digests(const std::filesystem::path& directory);

/// The text of citius.json with its own SHA-256 as "digest": of the text as it stands, with zeros in the digest's place.
std::string sealed_citius(json::object citius);

}  // namespace citius
