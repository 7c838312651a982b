#include "nn/packed_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/signal.h"
#include "io/sealed_file.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

constexpr uintptr_t kAlignment = 64;  // of Backend::adopt()

std::string key(const std::string& name, Format format, int64_t rows, int64_t cols) {
  return fmt::format("{} {} {}x{}", name, format_name(format), rows, cols);
}

}  // namespace

PackedFile::PackedFile(fs::path path, std::vector<std::shared_ptr<const MappedFile>> sources)
    : path_(std::move(path)), sources_(std::move(sources)), file_(open_sealed(path_, "the weights are packed again")) {}

std::unique_ptr<PackedWeight> PackedFile::find(const std::string& name, const MatrixSize& size, Backend& backend) const {
  if (file_ == nullptr) return nullptr;
  const auto entry = file_->entries().find(key(name, size.format, size.rows, size.cols));
  if (entry == file_->entries().end() || entry->second.dtype != DType::kU8) return nullptr;
  if (reinterpret_cast<uintptr_t>(entry->second.bytes.data()) % kAlignment != 0) return nullptr;
  return backend.adopt(size, entry->second.bytes, file_);
}

void PackedFile::add(const std::string& name, std::shared_ptr<const PackedWeight> weight) {
  if (weight->packed().empty()) return;
  std::string full = key(name, weight->format(), weight->rows(), weight->cols());
  added_.emplace_back(std::move(full), std::move(weight));
}

void PackedFile::keep() {
  if (added_.empty()) return;
  const bool unchanged =
      std::all_of(sources_.begin(), sources_.end(), [](const auto& source) { return identify(source->path()) == source->identity(); });
  try {
    if (unchanged) write();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) throw;
    log_warning("{}; the weights will be packed again at the next start", error.what());
  }
  added_.clear();
}

void PackedFile::write() const {
  std::map<std::string, std::span<const std::byte>> weights;
  for (const auto& [name, weight] : added_) weights[name] = weight->packed();
  if (file_ != nullptr) {
    for (const auto& [name, entry] : file_->entries()) weights.try_emplace(name, entry.bytes);
  }
  std::vector<std::pair<std::string, std::span<const std::byte>>> entries(weights.begin(), weights.end());
  uint64_t total = 0;
  for (const auto& [name, bytes] : entries) total += bytes.size();
  Progress progress("keeping packed weights", total, ProgressUnit::kBytes);
  write_sealed(path_, entries, [&](uint64_t done) {
    check_interrupted();
    progress.update(done);
  });
}

}  // namespace citius
