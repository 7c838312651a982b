// Reads a package's weights. What is quantized is listed in the safetensors metadata under "citius.formats":
// {name: {"format": ..., "shape": [rows, cols]}}; the list and the stored parts must agree exactly.
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "io/package.h"
#include "io/package_codec.h"
#include "io/safetensors.h"

namespace citius {
namespace {

struct EncodedEntry {
  Format format = Format::kF32;
  int64_t rows = 0, cols = 0;
  std::vector<const SafetensorsEntry*> parts;
};

class PackageContainer final : public TensorContainer {
 public:
  PackageContainer(const std::filesystem::path& path, bool gguf_names)
      : file_(std::make_shared<const SafetensorsFile>(path)), gguf_names_(gguf_names) {
    std::unordered_set<std::string> used;
    read_formats(used);
    for (const auto& [name, entry] : file_->entries()) {
      if (used.contains(name)) continue;
      if (encoded_.contains(name)) fail_input(where(), "tensor '{}' is stored both plain and quantized", name);
      names_.push_back(name);
    }
  }

  const std::vector<std::string>& names() const override { return names_; }
  bool has(std::string_view name) const override { return encoded(name) != nullptr || plain(name) != nullptr; }
  Shape shape(std::string_view name) const override {
    if (const EncodedEntry* entry = encoded(name)) return {entry->rows, entry->cols};
    return require(name).shape;
  }
  bool is_float(std::string_view name) const override {
    if (encoded(name) != nullptr) return false;
    const DType type = require(name).dtype;
    return type == DType::kF64 || type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 || type == DType::kF8E4M3 ||
           type == DType::kF8E5M2;
  }
  Format format(std::string_view name) const override {
    const EncodedEntry* entry = encoded(name);
    return entry != nullptr ? entry->format : matrix_format(require(name).dtype);
  }
  OwnedMatrix matrix(std::string_view name) const override {
    if (const EncodedEntry* entry = encoded(name)) {
      return join_matrix(entry->format, entry->rows, entry->cols, entry->parts, file_, where() + ": " + std::string(name));
    }
    return to_matrix(require(name), file_);
  }
  std::vector<std::shared_ptr<const MappedFile>> files() const override { return {{file_, &file_->file()}}; }
  std::string where() const override { return file_->file().path().string(); }
  bool is_gguf() const override { return gguf_names_; }
  void drop_pages() const override { file_->drop_pages(); }

 private:
  const EncodedEntry* encoded(std::string_view name) const {
    const auto found = encoded_.find(std::string(name));
    return found == encoded_.end() ? nullptr : &found->second;
  }
  // Parts of quantized tensors are not tensors of their own.
  const SafetensorsEntry* plain(std::string_view name) const {
    if (part_names_.contains(std::string(name))) return nullptr;
    const auto found = file_->entries().find(name);
    return found == file_->entries().end() ? nullptr : &found->second;
  }
  const SafetensorsEntry& require(std::string_view name) const {
    const SafetensorsEntry* entry = plain(name);
    if (entry == nullptr) fail_input(where(), "tensor '{}' is missing", name);
    return *entry;
  }

  void read_formats(std::unordered_set<std::string>& used) {
    const auto listed = file_->metadata().find("citius.formats");
    if (listed == file_->metadata().end()) fail_input(where(), "metadata key 'citius.formats' is missing; not a package's weights");
    const json::value document = parse_json(listed->second, where() + ": citius.formats");
    const JsonObject formats(document, where() + ": citius.formats");
    for (const auto& item : formats.object()) {
      const std::string name(item.key());
      EncodedEntry entry = read_entry(formats.get_object(name));
      for (const PackagePart& part : package_parts(name, entry.format, entry.rows, entry.cols)) {
        entry.parts.push_back(find_part(part));
        if (!used.insert(part.name).second) fail_input(where(), "tensor '{}' belongs to two weights", part.name);
      }
      names_.push_back(name);
      encoded_.emplace(name, std::move(entry));
    }
    part_names_ = used;
  }

  EncodedEntry read_entry(const JsonObject& json) const {
    EncodedEntry entry;
    const std::string format_text = json.get_string("format");
    const std::optional<Format> format = parse_format(format_text);
    if (!format || format_is_float(*format)) fail_input(json.where(), "format '{}' is not a quantized format", format_text.substr(0, 32));
    entry.format = *format;
    const json::array& shape = json.get_array("shape");
    constexpr int64_t kLimit = int64_t{1} << 31;
    if (shape.size() != 2 || !shape[0].is_int64() || !shape[1].is_int64()) fail_input(json.where(), "shape is not [rows, cols]");
    entry.rows = shape[0].get_int64();
    entry.cols = shape[1].get_int64();
    if (entry.rows < 1 || entry.cols < 1 || entry.rows > kLimit || entry.cols > kLimit ||
        entry.cols % format_block_elements(entry.format) != 0) {
      fail_input(json.where(), "shape [{}, {}] is not possible for {}", entry.rows, entry.cols, format_text);
    }
    return entry;
  }

  const SafetensorsEntry* find_part(const PackagePart& part) const {
    const auto found = file_->entries().find(part.name);
    if (found == file_->entries().end()) fail_input(where(), "tensor '{}' is missing", part.name);
    const SafetensorsEntry& entry = found->second;
    bool same = entry.dtype == part.dtype && entry.shape.rank() == static_cast<int>(part.shape.size());
    for (int axis = 0; same && axis < entry.shape.rank(); ++axis) same = entry.shape[axis] == part.shape[static_cast<size_t>(axis)];
    if (!same) {
      std::string expected;
      for (int64_t dim : part.shape) expected += (expected.empty() ? "" : ", ") + std::to_string(dim);
      fail_input(where(), "tensor '{}' is {} {}, expected {} [{}]", part.name, dtype_name(entry.dtype), entry.shape.str(),
                 dtype_name(part.dtype), expected);
    }
    return &entry;
  }

  std::shared_ptr<const SafetensorsFile> file_;
  bool gguf_names_;
  std::vector<std::string> names_;
  std::unordered_map<std::string, EncodedEntry> encoded_;
  std::unordered_set<std::string> part_names_;
};

}  // namespace

bool is_package(const std::filesystem::path& directory) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(directory / "citius.json", ignored);
}

std::shared_ptr<const TensorContainer> open_package_weights(const std::filesystem::path& directory, bool gguf_names) {
  return std::make_shared<PackageContainer>(directory / "model.safetensors", gguf_names);
}

}  // namespace citius
