#include "io/safetensors_writer.h"

#include "base/check.h"
#include "base/json.h"

namespace citius {

size_t SafetensorsPlan::bytes() const {
  size_t count = dtype_bytes(dtype);
  for (int64_t dim : shape) count *= static_cast<size_t>(dim);
  return count;
}

SafetensorsWriter::SafetensorsWriter(const std::filesystem::path& path, std::vector<SafetensorsPlan> plan,
                                     const std::map<std::string, std::string>& metadata)
    : file_(path), plan_(std::move(plan)) {
  json::object header;
  if (!metadata.empty()) {
    json::object strings;
    for (const auto& [key, value] : metadata) strings[key] = value;
    header["__metadata__"] = std::move(strings);
  }
  size_t offset = 0;
  for (const SafetensorsPlan& tensor : plan_) {
    json::array shape;
    for (int64_t dim : tensor.shape) shape.push_back(dim);
    const std::string_view type = dtype_name(tensor.dtype);
    const size_t end = offset + tensor.bytes();
    const bool added = header
                           .emplace(tensor.name, json::object{{"dtype", json::string_view(type.data(), type.size())},
                                                              {"shape", std::move(shape)},
                                                              {"data_offsets", json::array{offset, end}}})
                           .second;
    CHECK(added);
    offset = end;
  }
  std::string text = json::serialize(header);
  uint8_t size[8];
  text.resize((sizeof(size) + text.size() + 63) / 64 * 64 - sizeof(size), ' ');  // data starts aligned for vector loads
  for (int i = 0; i < 8; ++i) size[i] = static_cast<uint8_t>(text.size() >> (8 * i));
  file_.write(size, sizeof(size));
  file_.write(text);
}

void SafetensorsWriter::add(std::span<const std::byte> bytes) {
  CHECK(next_ < plan_.size() && bytes.size() == plan_[next_].bytes());
  file_.write(bytes.data(), bytes.size());
  ++next_;
}

void SafetensorsWriter::commit() {
  CHECK(next_ == plan_.size());
  file_.commit();
}

}  // namespace citius
