// Writes GGUF version 3: metadata copied from a file that was read, then tensors one after the other.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/file.h"
#include "io/gguf.h"

namespace citius {

struct GgufPlan {
  std::string name;
  Format format = Format::kF32;
  Shape shape;

  size_t bytes() const;
};

/// Metadata by key.
using GgufValues = std::map<std::string, std::variant<uint32_t, std::string>>;

class GgufWriter {
 public:
  /// Writes metadata (`values`, and all other keys of `source` but those of a split and general.alignment) and tensor
  /// descriptions; data follows by add() in the order of the plan.
  GgufWriter(const std::filesystem::path& path, const GgufFile& source, std::vector<GgufPlan> plan, const GgufValues& values = {});
  void add(std::span<const std::byte> bytes);
  void commit();

 private:
  void pad();

  AtomicFile file_;
  std::vector<GgufPlan> plan_;
  size_t next_ = 0;
  uint64_t at_ = 0;
};

}  // namespace citius
