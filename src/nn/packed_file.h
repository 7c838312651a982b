// The packed weights of one model in a sealed file, mapped at the next start: packing reads, rearranges and copies every weight,
// mapping takes the pages as they are. Format and shape are part of a weight's name there, so that
// what is found is what is asked for.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backend/backend.h"
#include "base/file.h"
#include "io/safetensors.h"

namespace citius {

class PackedFile {
 public:
  /// Opens the file where it is there under its seal; otherwise it will be written anew. `sources`: what the weights are read from.
  explicit PackedFile(std::filesystem::path path, std::vector<std::shared_ptr<const MappedFile>> sources = {});

  /// Whether there is a file to find weights in.
  bool is_there() const { return file_ != nullptr; }
  /// The weight of that name and size, mapped; null where the file has none.
  std::unique_ptr<PackedWeight> find(const std::string& name, const MatrixSize& size, Backend& backend) const;
  /// Notes a weight that find() did not find; it lives until keep() at least.
  void add(const std::string& name, std::shared_ptr<const PackedWeight> weight);
  /// Writes what the file had and what was added, beside and renamed, unless a source was changed or replaced meanwhile. Where it
  /// cannot be written (a full disk) it says so: the weights in use are not concerned. Throws Error{kInterrupted} on Ctrl-C.
  void keep();

 private:
  void write() const;

  std::filesystem::path path_;
  std::vector<std::shared_ptr<const MappedFile>> sources_;
  std::shared_ptr<const SafetensorsFile> file_;  // null where there is none
  std::vector<std::pair<std::string, std::shared_ptr<const PackedWeight>>> added_;
};

}  // namespace citius
