#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <utility>

#include "base/ascii.h"
#include "base/error.h"

namespace citius {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
// A whole huge page at a time, where one begins: file systems with large folios then keep one, and who maps the file reads it without page
// walks.
constexpr size_t kWriteBytes = kHugePage;

FileIdentity identity_of(const struct stat& info) {
  const auto nanoseconds = [](const timespec& time) { return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; };
  return {info.st_dev, info.st_ino, static_cast<uint64_t>(info.st_size), nanoseconds(info.st_mtim), nanoseconds(info.st_ctim)};
}

// Opens a regular file for reading.
std::pair<int, FileIdentity> open_regular(const std::filesystem::path& path) {
  // Without O_NONBLOCK opening a pipe would wait for a writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) fail_input(path.string(), "cannot open: {}", std::strerror(errno));
  struct stat info{};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd);
    fail_input(path.string(), "is not a regular file");
  }
  return {fd, identity_of(info)};
}

// Where a chain of links leads, whether or not anything is there.
std::filesystem::path link_target(std::filesystem::path path) {
  constexpr int kMostLinks = 40;  // as many as Linux follows
  std::error_code error;          // opening it tells
  for (int links = 0; std::filesystem::is_symlink(path, error); ++links) {
    if (links == kMostLinks) fail(ErrorKind::kResource, path.string(), "cannot write: {}", std::strerror(ELOOP));
    path = path.parent_path() / std::filesystem::read_symlink(path, error);
  }
  return path;
}

}  // namespace

bool is_there(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

std::string lower_extension(const std::filesystem::path& path) { return ascii_lower(path.extension().string()); }

std::string FileIdentity::text() const { return fmt::format("{:x}-{}-{}-{}-{}", device, inode, size, modified, changed); }

std::optional<FileIdentity> identify(const std::filesystem::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return std::nullopt;
  return identity_of(info);
}

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const auto [fd, identity] = open_regular(path);
  identity_ = identity;
  size_ = identity.size;
  if (size_ > 0) {
    void* mapping = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (mapping == MAP_FAILED) {
      const int error = errno;
      ::close(fd);
      fail(error == ENOMEM ? ErrorKind::kResource : ErrorKind::kInput, path.string(), "cannot map {} bytes: {}", size_,
           std::strerror(error));
    }
    data_ = static_cast<const std::byte*>(mapping);
    // Huge pages where the file system has them: reading a large file in turn takes a page walk every 4 KB otherwise.
    if (size_ >= kHugePage) ::madvise(mapping, size_, MADV_HUGEPAGE);
  }
  ::close(fd);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::drop_pages() const {
  if (data_ != nullptr) ::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

std::string read_file(const std::filesystem::path& path, size_t max_bytes) {
  const auto [fd, identity] = open_regular(path);
  const size_t size = identity.size;
  if (size > max_bytes) {
    ::close(fd);
    fail_input(path.string(), "file is too large, got {} bytes, expected at most {}", size, max_bytes);
  }
  std::string content(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd, content.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    done += static_cast<size_t>(got);
  }
  ::close(fd);
  if (done != size) fail_input(path.string(), "read ended early, got {} bytes, expected {}", done, size);
  return content;
}

AtomicFile::AtomicFile(std::filesystem::path path) : path_(std::move(path)) {
  std::error_code error;
  const std::filesystem::file_status old = std::filesystem::status(path_, error);
  using enum std::filesystem::file_type;
  if (old.type() == character || old.type() == fifo || old.type() == socket || old.type() == block) {
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CLOEXEC);
  } else {
    path_ = link_target(path_);
    // Processes of two containers may have the same number.
    temporary_ = path_;
    temporary_ += fmt::format(".tmp{}-{:08x}", ::getpid(), std::random_device()());
    const bool replaces = std::filesystem::exists(old);
    const mode_t mode = replaces ? static_cast<mode_t>(old.permissions() & std::filesystem::perms::all) : 0644;
    fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd_ >= 0 && replaces) ::fchmod(fd_, mode);  // whatever the umask
  }
  if (fd_ < 0) fail(ErrorKind::kResource, path_.string(), "cannot write: {}", std::strerror(errno));
  buffer_.reserve(kWriteBytes);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    ::close(fd_);
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
}

void AtomicFile::fail_write(const char* what) {
  fail(ErrorKind::kResource, path_.string(), "{} failed: {}; an existing file of this name is unchanged", what, std::strerror(errno));
}

void AtomicFile::write(const void* data, size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const size_t part = std::min(size, kWriteBytes - buffer_.size());
    buffer_.append(bytes, part);
    if (buffer_.size() == kWriteBytes) flush();
    bytes += part;
    size -= part;
  }
}

void AtomicFile::flush() {
  const size_t size = buffer_.size();
  for (size_t done = 0; done < size;) {
    const ssize_t put = ::write(fd_, buffer_.data() + done, size - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      buffer_.clear();
      fail_write("write");
    }
    done += static_cast<size_t>(put);
  }
  buffer_.clear();
}

void AtomicFile::overwrite(uint64_t offset, std::string_view text) {
  flush();
  while (!text.empty()) {
    const ssize_t put = ::pwrite(fd_, text.data(), text.size(), static_cast<off_t>(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_write("write");
    text.remove_prefix(static_cast<size_t>(put));
    offset += static_cast<uint64_t>(put);
  }
}

void AtomicFile::commit() {
  flush();
  if (temporary_.empty()) {
    if (::close(std::exchange(fd_, -1)) != 0) fail_write("close");
    return;
  }
  if (::fsync(fd_) != 0) fail_write("fsync");
  if (::close(std::exchange(fd_, -1)) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    errno = error;
    fail_write("close");
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary_.c_str());
    errno = error;
    fail_write("rename");
  }
}

void write_file(const std::filesystem::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

}  // namespace citius
