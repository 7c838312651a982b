#include "io/package_digest.h"

#include <map>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "io/companion_files.h"
#include "io/package.h"

namespace citius {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kUnsealed = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr size_t kMostBytes = size_t{256} << 20;

}  // namespace

json::object file_digests(const fs::path& directory) {
  std::map<std::string, std::string> sorted;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) sorted[entry.path().lexically_relative(directory).generic_string()] = sha256_file(entry.path());
  }
  json::object digests;
  for (const auto& [name, digest] : sorted) digests[name] = digest;
  return digests;
}

std::string sealed_citius(json::object citius) {
  citius["digest"] = kUnsealed;
  std::string text = json::serialize(citius) + "\n";
  return text.replace(text.rfind(kUnsealed), kUnsealed.size(), sha256(text));
}

void check_package_digests(const fs::path& directory, const json::object& object,
                           const std::function<std::string(const fs::path&)>& digest_of) {
  const std::string where = (directory / "citius.json").string();
  const JsonObject citius(object, where);
  const std::string sealed = citius.get_string("digest");
  std::string text = read_file(directory / "citius.json", kMostBytes);
  const size_t at = text.rfind(sealed);
  if (sealed.size() != kUnsealed.size() || at == std::string::npos || sha256(text.replace(at, sealed.size(), kUnsealed)) != sealed) {
    fail_input(where, "was changed after it was written: its digest does not fit; make the package again");
  }
  const JsonObject files = citius.get_object("files");
  std::vector<fs::path> read = companions_read(directory);
  if (is_there(directory / "metadata.gguf")) read.emplace_back("metadata.gguf");
  for (const fs::path& name : read) {
    if (files.has(name.generic_string())) continue;
    fail_input((directory / name).string(), "came after the package was written and would be read; remove it, or make the package again");
  }
  for (const auto& item : files.object()) {
    const fs::path name = fs::path(std::string(item.key())).lexically_normal();
    if (name.empty() || name.is_absolute() || *name.begin() == "..")
      fail_input(where, "lists '{}', which is no file of the package", name.string());
    if (!item.value().is_string()) fail_input(where, "the digest of '{}' is no text", name.string());
    const std::string digest = digest_of(directory / name);
    if (digest != item.value().as_string()) {
      fail_input((directory / name).string(), "was changed after the package was written, got digest {}, expected {}; make it again",
                 digest, std::string_view(item.value().as_string()));
    }
  }
}

}  // namespace citius
