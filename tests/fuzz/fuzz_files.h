// Files for fuzz targets: in memory, with a path that readers can open.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

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
