// The packed weights of one model in a file, mapped at the next start: packing reads, rearranges and copies every weight,
// mapping takes the pages as they are. A safetensors file of bytes; format and shape are part of a weight's name there, so that
// what is found is what is asked for.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "io/safetensors.h"

namespace citius {

class PackedFile {
 public:
  /// Opens the file where it is there. One that is damaged is as good as none: it is written anew.
  explicit PackedFile(std::filesystem::path path);

  /// The weight of that name and size, mapped; null where the file has none.
  std::unique_ptr<PackedWeight> find(const std::string& name, const MatrixSize& size, Backend& backend) const;
  /// Notes a weight that find() did not find; it lives until keep() at least.
  void add(const std::string& name, std::shared_ptr<const PackedWeight> weight);
  /// Writes what the file had and what was added, beside and renamed. Where that fails (a full disk) it says so: the weights
  /// in use are not concerned.
  void keep();

 private:
  std::filesystem::path path_;
  std::shared_ptr<const SafetensorsFile> file_;  // null where there is none
  std::vector<std::pair<std::string, std::shared_ptr<const PackedWeight>>> added_;
};

}  // namespace citius
