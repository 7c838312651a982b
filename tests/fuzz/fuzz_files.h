// Files for fuzz targets: in memory, with a path that readers can open.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/error.h"
#include "io/weight_source.h"

namespace citius {

/// The input as a file under /proc/self/fd.
class MemoryFile {
 public:
  MemoryFile(const uint8_t* data, size_t size) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    if (fd_ < 0 || ::write(fd_, data, size) != static_cast<ssize_t>(size)) std::abort();
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::filesystem::path path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

/// A directory of this process, on a file system in memory where there is one. Stays until the system is restarted: a
/// target may end at any moment.
inline std::filesystem::path memory_directory(const std::string& name) {
  std::error_code ignored;
  const char* root = std::filesystem::is_directory("/dev/shm", ignored) ? "/dev/shm" : "/tmp";
  std::filesystem::path made = std::string(root) + "/citius-" + name + "-" + std::to_string(::getpid());
  std::filesystem::create_directories(made);
  return made;
}

/// Writes without the sync of write_file(), which would slow a target down.
inline void put_file(const std::filesystem::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<std::streamsize>(content.size()));
}

/// Reads every tensor to its last row.
inline void read_all(const TensorContainer& container) {
  for (const std::string& name : container.names()) {
    const OwnedMatrix owned = container.matrix(name);
    const EncodedMatrix& m = owned.matrix;
    (void)container.shape(name);
    (void)container.is_float(name);
    if (m.rows < 1 || m.cols < 1 || m.cols > (1 << 24)) continue;
    std::vector<float> row(static_cast<size_t>(m.cols));
    decode_row(m.format, m.row(0), m.cols, row.data());
    decode_row(m.format, m.row(m.rows - 1), m.cols, row.data());
  }
}

}  // namespace citius
