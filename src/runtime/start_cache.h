// What one start leaves for the next, in a directory that may be removed at any time: packed weights, tables of tokenizers, digests of
// files, receipts that passed. What was not used for a month is removed by the starts that look there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "io/checkpoint.h"
#include "nn/packed_file.h"
#include "tokenizer/tokenizer.h"

namespace citius {

class StartCache {
 public:
  /// Packing fewer bytes takes less time than anyone notices.
  static constexpr uint64_t kLeastBytes = uint64_t{32} << 20;

  /// Keeps nothing.
  StartCache() = default;
  /// `least_bytes`: of the weights that are worth a file. An empty directory keeps nothing.
  explicit StartCache(std::filesystem::path directory, uint64_t least_bytes = kLeastBytes);

  /// SHA-256 of a file. It is remembered by FileIdentity. A file that changed a moment ago is not remembered, because the clock
  /// of a file system may stand still between two changes. Throws as sha256_file.
  std::string sha256(const std::filesystem::path& file) const;
  /// The same of a file that is mapped already, whatever has its name now.
  std::string sha256(const MappedFile& file) const { return sha256(file, file.bytes().size()); }
  /// The same of its first `bytes`.
  std::string sha256(const MappedFile& file, uint64_t bytes) const;

  /// Where the weights of `checkpoint` are kept as given, in this packing: named by the digest of its files and of the program. Null where
  /// nothing is kept, the weights are small or not in files, or the directory cannot be written to or has no room (which is told).
  std::shared_ptr<PackedFile> packed_file(const Checkpoint& checkpoint, const std::string& packing) const;

  /// Opens a tokenizer with the tables that were kept of it, which are named by the digests of its source and of the program, or else with
  /// those that it compiles, which are kept then. Throws as the source does.
  std::unique_ptr<Tokenizer> open(const TokenizerSource& source) const;

  /// Whether a check named `key` passed before with this very program; remember_passed() says that it did.
  bool passed(const std::string& key) const;
  void remember_passed(const std::string& key) const;

 private:
  std::string own_digest() const;
  std::filesystem::path tables_path(const TokenizerSource& source) const;

  std::filesystem::path directory_;
  uint64_t least_bytes_ = kLeastBytes;
};

}  // namespace citius
