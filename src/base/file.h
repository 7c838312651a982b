// Files: mapping for reading, whole-file reads with a limit, and atomic writes (write beside, fsync, rename), so that an
// interrupted or failed write leaves the old file intact.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace citius {

/// Whether anything has this name. A link that leads nowhere, or in a circle, counts: whoever opens it is told what is wrong.
bool is_there(const std::filesystem::path& path);

/// ".csv" of "table.CSV".
std::string lower_extension(const std::filesystem::path& path);

/// What tells a file and its content from others without reading it. Replacing a file or writing to it changes it; stores through
/// a mapping do so where the pages were clean (after an fsync).
struct FileIdentity {
  uint64_t device = 0, inode = 0, size = 0;
  int64_t modified = 0, changed = 0;  // nanoseconds since 1970

  bool operator==(const FileIdentity&) const = default;
  /// As text, without blanks.
  std::string text() const;
};
/// nullopt where the file cannot be asked.
std::optional<FileIdentity> identify(const std::filesystem::path& path);

/// A file mapped read-only for the life of the object. Empty files map to an empty span.
class MappedFile {
 public:
  /// Throws Error{kInput} where the file is missing, unreadable or not a regular file, Error{kResource} where there is no
  /// memory to map it.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::filesystem::path& path() const { return path_; }
  /// Of the file when it was mapped.
  const FileIdentity& identity() const { return identity_; }
  /// Gives the memory of what was read back; reading it again loads it again.
  void drop_pages() const;

 private:
  std::filesystem::path path_;
  FileIdentity identity_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Reads a whole file. Throws Error{kInput} where it is missing or larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, size_t max_bytes);

/// Streams a new file into place: writes go to a temporary file beside `path`; commit() syncs and renames it over
/// `path`. Without commit() the destructor removes the temporary file and `path` is untouched. A symbolic link stays and
/// its target is replaced; a device or pipe (/dev/null) is written to as it is, for there is nothing to replace.
/// Every failure (full disk, permission) throws Error{kResource}.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Replaces bytes that were written before, at `offset` from the beginning.
  void overwrite(uint64_t offset, std::string_view text);
  void commit();

 private:
  std::filesystem::path path_;
  std::filesystem::path temporary_;  // empty: path_ itself is written to
  int fd_ = -1;
  std::string buffer_;
  void flush();
  [[noreturn]] void fail_write(const char* what);
};

/// AtomicFile in one call.
void write_file(const std::filesystem::path& path, std::string_view content);

}  // namespace citius
