#include "io/safetensors.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "io/safetensors_header.h"
#include "io/safetensors_writer.h"
#include "tensor/float_types.h"

namespace citius {
namespace {

constexpr size_t kMaxHeaderBytes = 100'000'000;  // the reference implementation's limit
float to_f32(DType dtype, const std::byte* source) {
  auto as = [&]<typename T>(T value) {
    std::memcpy(&value, source, sizeof(value));
    return value;
  };
  switch (dtype) {
    case DType::kF64: return static_cast<float>(as(double{}));
    case DType::kF32: return as(float{});
    case DType::kF16: return f16_to_f32(as(uint16_t{}));
    case DType::kBF16: return bf16_to_f32(as(uint16_t{}));
    case DType::kF8E4M3: return f8_e4m3_to_f32(as(uint8_t{}));
    case DType::kF8E5M2: return f8_e5m2_to_f32(as(uint8_t{}));
    case DType::kI8: return static_cast<float>(as(int8_t{}));
    case DType::kI16: return static_cast<float>(as(int16_t{}));
    case DType::kI32: return static_cast<float>(as(int32_t{}));
    case DType::kI64: return static_cast<float>(as(int64_t{}));
    case DType::kU8:
    case DType::kBool: return static_cast<float>(as(uint8_t{}));
  }
  return 0;
}

// All files of a checkpoint as one container.
class SafetensorsContainer : public TensorContainer {
 public:
  SafetensorsContainer(std::string where, std::vector<std::shared_ptr<const SafetensorsFile>> files)
      : where_(std::move(where)), files_(std::move(files)) {
    for (const auto& file : files_) {
      for (const auto& [name, entry] : file->entries()) {
        if (!tensors_.emplace(name, Located{file, &entry}).second) {
          fail_input(where_, "tensor '{}' is in more than one shard", name);
        }
        names_.push_back(name);
      }
    }
  }

  const std::vector<std::string>& names() const override { return names_; }
  bool has(std::string_view name) const override { return tensors_.find(name) != tensors_.end(); }
  Shape shape(std::string_view name) const override { return find(name).entry->shape; }
  bool is_float(std::string_view name) const override {
    const DType type = find(name).entry->dtype;
    return type == DType::kF64 || type == DType::kF32 || type == DType::kF16 || type == DType::kBF16 || type == DType::kF8E4M3 ||
           type == DType::kF8E5M2;
  }
  Format format(std::string_view name) const override { return matrix_format(find(name).entry->dtype); }
  OwnedMatrix matrix(std::string_view name) const override {
    const Located& located = find(name);
    return to_matrix(*located.entry, located.file);
  }
  std::vector<std::shared_ptr<const MappedFile>> files() const override {
    std::vector<std::shared_ptr<const MappedFile>> files;
    for (const auto& file : files_) files.emplace_back(file, &file->file());
    return files;
  }
  std::string where() const override { return where_; }
  bool is_gguf() const override { return false; }
  void drop_pages() const override {
    for (const auto& file : files_) file->drop_pages();
  }

 private:
  struct Located {
    std::shared_ptr<const SafetensorsFile> file;
    const SafetensorsEntry* entry;
  };
  const Located& find(std::string_view name) const {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) fail_input(where_, "tensor '{}' is missing", name);
    return it->second;
  }

  std::string where_;
  std::vector<std::shared_ptr<const SafetensorsFile>> files_;
  std::map<std::string, Located, std::less<>> tensors_;
  std::vector<std::string> names_;
};

}  // namespace

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : file_(path) {
  const std::span<const std::byte> bytes = file_.bytes();
  const std::string where = path.string();
  if (bytes.size() < 10) fail_input(where, "is too short for a safetensors file, got {} bytes", bytes.size());
  uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i) header_bytes = header_bytes << 8 | static_cast<uint8_t>(bytes[static_cast<size_t>(i)]);
  if (header_bytes > kMaxHeaderBytes || header_bytes > bytes.size() - 8) {
    fail_input(where, "header size: got {}, expected at most {} (file size and limit)", header_bytes,
               std::min<uint64_t>(kMaxHeaderBytes, bytes.size() - 8));
  }
  const std::span<const std::byte> data = bytes.subspan(8 + header_bytes);
  SafetensorsHeader header = parse_safetensors_header(file_.text().substr(8, header_bytes), data.size(), where);
  for (SafetensorsRecord& record : header.entries) {
    entries_.emplace(std::move(record.name),
                     SafetensorsEntry{record.dtype, record.shape, data.subspan(record.begin, record.end - record.begin)});
  }
  metadata_ = std::move(header.metadata);
}

Format matrix_format(DType dtype) { return dtype == DType::kF16 ? Format::kF16 : dtype == DType::kBF16 ? Format::kBF16 : Format::kF32; }

OwnedMatrix to_matrix(const SafetensorsEntry& entry, std::shared_ptr<const void> owner) {
  const int64_t rows = entry.shape.rank() < 2 ? 1 : entry.shape[0];
  const int64_t cols = rows == 0 ? 0 : entry.shape.num_elements() / rows;
  const Format format = matrix_format(entry.dtype);
  if (format != Format::kF32 || entry.dtype == DType::kF32) return {{format, rows, cols, entry.bytes.data()}, std::move(owner)};
  auto values = std::make_shared<std::vector<float>>(static_cast<size_t>(rows * cols));
  const size_t size = dtype_bytes(entry.dtype);
  for (size_t i = 0; i < values->size(); ++i) (*values)[i] = to_f32(entry.dtype, entry.bytes.data() + i * size);
  return {{Format::kF32, rows, cols, reinterpret_cast<const std::byte*>(values->data())}, values};
}

std::shared_ptr<const TensorContainer> open_safetensors(const std::filesystem::path& directory) {
  const std::filesystem::path single = directory / "model.safetensors";
  const std::filesystem::path index = directory / "model.safetensors.index.json";
  if (is_there(single)) {
    return std::make_shared<SafetensorsContainer>(single.string(), std::vector{std::make_shared<const SafetensorsFile>(single)});
  }
  if (!is_there(index)) return nullptr;
  const json::value root = read_json(index);
  const JsonObject map = JsonObject(root, index.string()).get_object("weight_map");
  std::map<std::string, std::shared_ptr<const SafetensorsFile>> shards;
  for (const auto& item : map.object()) {
    const std::string file = map.get_string(item.key());
    if (file.empty() || file.find('/') != std::string::npos || file[0] == '.') {
      fail_input(index.string(), "shard name '{}' is not a plain file name", file);
    }
    auto& shard = shards[file];
    if (shard == nullptr) shard = std::make_shared<const SafetensorsFile>(directory / file);
    if (!shard->entries().contains(std::string_view(item.key()))) {
      fail_input(index.string(), "tensor '{}' is not in {}", std::string_view(item.key()), file);
    }
  }
  std::vector<std::shared_ptr<const SafetensorsFile>> files;
  for (const auto& [name, file] : shards) {
    for (const auto& [tensor, entry] : file->entries()) {
      if (!map.has(tensor)) fail_input(index.string(), "tensor '{}' of {} is not in the index", tensor, name);
    }
    files.push_back(file);
  }
  return std::make_shared<SafetensorsContainer>(index.string(), std::move(files));
}

void write_safetensors(const std::filesystem::path& path, const std::vector<SafetensorsTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<SafetensorsPlan> plan;
  for (const SafetensorsTensor& tensor : tensors) plan.push_back({tensor.name, tensor.dtype, tensor.shape});
  SafetensorsWriter writer(path, std::move(plan), metadata);
  for (const SafetensorsTensor& tensor : tensors) writer.add(tensor.bytes);
  writer.commit();
}

}  // namespace citius
