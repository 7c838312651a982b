#include "nn/packed_file.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "io/safetensors_writer.h"

namespace citius {
namespace {

std::string key(const std::string& name, Format format, int64_t rows, int64_t cols) {
  return fmt::format("{} {} {}x{}", name, format_name(format), rows, cols);
}

std::shared_ptr<const SafetensorsFile> open_if_good(const std::filesystem::path& path) {
  if (!is_there(path)) return nullptr;
  try {
    return std::make_shared<SafetensorsFile>(path);
  } catch (const Error& error) {
    log_warning("{}; the weights are packed again", error.what());
    return nullptr;
  }
}

}  // namespace

PackedFile::PackedFile(std::filesystem::path path) : path_(std::move(path)), file_(open_if_good(path_)) {}

std::unique_ptr<PackedWeight> PackedFile::find(const std::string& name, const MatrixSize& size, Backend& backend) const {
  if (file_ == nullptr) return nullptr;
  const auto entry = file_->entries().find(key(name, size.format, size.rows, size.cols));
  if (entry == file_->entries().end() || entry->second.dtype != DType::kU8) return nullptr;
  return backend.adopt(size, entry->second.bytes, file_);
}

void PackedFile::add(const std::string& name, std::shared_ptr<const PackedWeight> weight) {
  if (weight->packed().empty()) return;
  std::string full = key(name, weight->format(), weight->rows(), weight->cols());
  added_.emplace_back(std::move(full), std::move(weight));
}

void PackedFile::keep() {
  if (added_.empty()) return;
  const auto added = std::exchange(added_, {});
  std::map<std::string, std::span<const std::byte>> weights;
  for (const auto& [name, weight] : added) weights[name] = weight->packed();
  if (file_ != nullptr) {
    for (const auto& [name, entry] : file_->entries()) weights.try_emplace(name, entry.bytes);
  }
  std::vector<SafetensorsPlan> plan;
  for (const auto& [name, bytes] : weights) plan.push_back({name, DType::kU8, {static_cast<int64_t>(bytes.size())}});
  try {
    SafetensorsWriter writer(path_, plan, {});
    for (const auto& [name, bytes] : weights) writer.add(bytes);
    writer.commit();
  } catch (const Error& error) {
    log_warning("{}; the weights will be packed again at the next start", error.what());
  }
}

}  // namespace citius
