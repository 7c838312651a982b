// safetensors files, one or sharded by an index: mapped, never copied whole. Every offset, size and type is checked before
// a tensor can be asked for. Format: 8 bytes little-endian header size, a JSON header, then the data.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "io/weight_source.h"
#include "tensor/dtype.h"

namespace citius {

/// One tensor of a file.
struct SafetensorsEntry {
  DType dtype = DType::kF32;
  Shape shape;
  std::span<const std::byte> bytes;
};

/// One file. Throws Error{kInput} where anything is wrong with it: header size, JSON, duplicated keys, unknown types,
/// sizes that do not match shapes, overlaps, holes, bytes after the last tensor.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::map<std::string, SafetensorsEntry, std::less<>>& entries() const { return entries_; }
  /// The "__metadata__" strings.
  const std::map<std::string, std::string, std::less<>>& metadata() const { return metadata_; }
  const MappedFile& file() const { return file_; }
  void drop_pages() const { file_.drop_pages(); }

 private:
  MappedFile file_;
  std::map<std::string, SafetensorsEntry, std::less<>> entries_;
  std::map<std::string, std::string, std::less<>> metadata_;
};

/// The tensors of `model.safetensors`, or of the shards that `model.safetensors.index.json` lists, in `directory`. Null where
/// neither is there.
std::shared_ptr<const TensorContainer> open_safetensors(const std::filesystem::path& directory);

/// A tensor as a matrix [shape[0], rest]; keeps `owner` alive. Types that are no Format become f32.
/// Format that to_matrix gives for a type.
Format matrix_format(DType dtype);
OwnedMatrix to_matrix(const SafetensorsEntry& entry, std::shared_ptr<const void> owner);

/// One tensor to be written.
struct SafetensorsTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};
/// Writes a file atomically, tensors in the given order.
void write_safetensors(const std::filesystem::path& path, const std::vector<SafetensorsTensor>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace citius
