// SHA-256, for downloads, packages and the identity of models.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace citius {

class MappedFile;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(const void* data, size_t size);
  /// 64 lower-case hexadecimal digits. Call once, at the end.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Digest of a text. `progress` is told the bytes read so far. Throws Error{kInterrupted} on Ctrl-C.
std::string sha256(std::string_view text, const std::function<void(uint64_t)>& progress = {});
/// Digest of a file's content. Throws Error{kInput} where it cannot be read, Error{kInterrupted} on Ctrl-C.
std::string sha256_file(const std::filesystem::path& path);

}  // namespace citius
