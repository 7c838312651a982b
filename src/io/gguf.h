// GGUF versions 2 and 3: typed metadata, then tensor descriptions, then aligned tensor data; one file or several parts
// (name-00001-of-00003.gguf). Files are mapped and wholly validated when opened; arrays of metadata are decoded when asked
// for.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "io/weight_source.h"

namespace citius {

enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

/// A metadata value: its bytes in the file. For arrays `payload` is what follows element type and count.
struct GgufValue {
  GgufType type = GgufType::kU8;
  GgufType element = GgufType::kU8;  // of arrays
  uint64_t count = 0;                // of arrays
  std::span<const std::byte> payload;
};

class GgufFile final : public TensorContainer {
 public:
  /// Opens a file, or all parts given the first. Throws Error{kInput}.
  static std::shared_ptr<const GgufFile> open(const std::filesystem::path& path);

  const std::vector<std::string>& names() const override { return names_; }
  bool has(std::string_view name) const override { return tensors_.contains(std::string(name)); }
  Shape shape(std::string_view name) const override;
  OwnedMatrix matrix(std::string_view name) const override;
  bool is_float(std::string_view name) const override;
  Format format(std::string_view name) const override;
  std::vector<std::shared_ptr<const MappedFile>> files() const override { return files_; }
  std::string where() const override { return where_; }
  bool is_gguf() const override { return true; }
  void drop_pages() const override {
    for (const auto& file : files_) file->drop_pages();
  }

  /// Bytes of the first file before its tensor data: all metadata lies there.
  uint64_t header_bytes() const { return header_bytes_; }
  /// Metadata keys in file order.
  const std::vector<std::string>& keys() const { return keys_; }
  bool has_key(std::string_view key) const { return values_.contains(std::string(key)); }
  const GgufValue* find(std::string_view key) const;

  // Getters: nullopt where the key is absent, Error{kInput} where its type is another. Integers of any width that fit are
  // taken as integers, integers and floats of any width as numbers.
  std::optional<int64_t> get_int(std::string_view key) const;
  std::optional<double> get_number(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string> get_string(std::string_view key) const;
  std::optional<std::vector<std::string>> get_strings(std::string_view key) const;
  std::optional<std::vector<int64_t>> get_ints(std::string_view key) const;
  std::optional<std::vector<float>> get_floats(std::string_view key) const;
  /// As text for people: scalars in full, arrays as their length and first elements.
  std::string describe(std::string_view key) const;

 private:
  struct Tensor {
    Format format;
    Shape shape;
    const std::byte* data;
    std::shared_ptr<const MappedFile> file;
  };

  void add_part(const std::filesystem::path& path, bool first);

  std::string where_;
  uint64_t header_bytes_ = 0;
  std::vector<std::string> keys_, names_;
  std::unordered_map<std::string, GgufValue> values_;
  std::unordered_map<std::string, Tensor> tensors_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
};

/// True where the name of a file ends in .gguf, in either case.
bool has_gguf_ending(const std::filesystem::path& path);

std::string_view gguf_type_name(GgufType type);
/// ggml's number of a format; nullopt where GGUF has no such type.
std::optional<uint32_t> ggml_type_of(Format format);

}  // namespace citius
