// A package: a model directory in Hugging Face layout whose weights may be quantized, with citius.json beside them
// (docs/packages.md). Written beside its place and renamed, so that a package is there whole or not at all.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "io/checkpoint.h"
#include "quant/format.h"

namespace citius {

/// citius.json "package_version": changes when an older reader would misread the directory.
inline constexpr int kPackageVersion = 1;

/// A weight whose format differs from the source's.
struct PackageWeight {
  std::string name;  // full name in the source checkpoint
  Format format = Format::kF32;
  bool transposed = false;  // stored [inputs, outputs] in the source (GPT-2); turned where `format` is no float type
};

struct PackageContent {
  std::vector<PackageWeight> weights;        // every other tensor is written as the source has it
  json::object citius;                       // citius.json: recipe, measurements, receipt
  std::map<std::string, std::string> files;  // further files: name (no directories) and content
};

/// Told after each tensor how much of the bytes of weights is written, from 0 to 1; may throw.
using OnWritten = std::function<void(double share)>;

/// Where a package for `directory` is written: absolute, normal, without a slash at its end. An empty directory and a package
/// may be there. Throws Error{kUsage}, naming them, where other files would be lost, or where there is no name.
std::filesystem::path package_target(const std::filesystem::path& directory);

/// Writes the package of `source` with the weights of `content` converted, tensor by tensor, to package_target(directory); an
/// existing package there is replaced. Throws Error{kUsage}, Error{kResource}, or Error{kInput} where a weight cannot be
/// stored in its format.
void write_package(const std::filesystem::path& directory, const Checkpoint& source, const PackageContent& content, ThreadPool& threads,
                   const OnWritten& on_written = {});

/// Compares what a package's files hold with the digests in its citius.json, and that file with its own: a damaged or
/// edited package is refused (Error{kInput}) before anything of it is used, and so is one with a file that would be read and
/// that it does not list. Others, and the reports, may be there or not. `citius` is the parsed citius.json.
/// `digest_of` gives the SHA-256 of a file.
void check_package_digests(const std::filesystem::path& directory, const json::object& citius,
                           const std::function<std::string(const std::filesystem::path&)>& digest_of = sha256_file);

/// True where `directory` holds a package.
bool is_package(const std::filesystem::path& directory);

/// The weights of a package, each one logical tensor in the format it was written with. `gguf_names` tells which
/// conventions the names follow. Throws Error{kInput}.
std::shared_ptr<const TensorContainer> open_package_weights(const std::filesystem::path& directory, bool gguf_names);

/// What a GGUF file says of how it was made.
struct GgufOrigin {
  std::string source_digest;          // of the model that it was converted from
  std::optional<uint32_t> file_type;  // llama.cpp's number of its formats (llama_ftype); none: what the source says
};

/// Writes a GGUF file from a checkpoint that came from one: same metadata, the named weights converted to formats that GGUF
/// has. A file there is replaced where this function wrote it from a source with the same digest. Throws Error{kUsage} for
/// other checkpoints and formats, and where another file, a directory or the source itself would be lost.
void write_gguf(const std::filesystem::path& path, const Checkpoint& source, const std::vector<PackageWeight>& weights,
                const GgufOrigin& origin, ThreadPool& threads, const OnWritten& on_written = {});

}  // namespace citius
