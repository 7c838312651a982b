// Writes a safetensors file tensor by tensor, so that no more than one of them is in memory.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "tensor/dtype.h"

namespace citius {

struct SafetensorsPlan {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;

  size_t bytes() const;
};

class SafetensorsWriter {
 public:
  /// Writes the header; the tensors' bytes follow by add(), in the order of the plan.
  SafetensorsWriter(const std::filesystem::path& path, std::vector<SafetensorsPlan> plan,
                    const std::map<std::string, std::string>& metadata);
  /// CHECKs that the size is that of the next planned tensor.
  void add(std::span<const std::byte> bytes);
  /// CHECKs that every tensor was added, then publishes the file.
  void commit();

 private:
  AtomicFile file_;
  std::vector<SafetensorsPlan> plan_;
  size_t next_ = 0;
};

}  // namespace citius
