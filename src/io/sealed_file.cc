#include "io/sealed_file.h"

#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "io/safetensors_writer.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

fs::path seal_path(const fs::path& path) {
  fs::path seal = path;
  return seal += kSealEnding;
}

}  // namespace

std::shared_ptr<const SafetensorsFile> open_sealed(const fs::path& path, std::string_view consequence) {
  if (!is_there(path) || !is_there(seal_path(path))) return nullptr;
  try {
    const std::string seal = read_file(seal_path(path), 4096);
    const std::optional<FileIdentity> now = identify(path);
    if (!now || now->text() != seal) return nullptr;
    auto file = std::make_shared<SafetensorsFile>(path);
    if (file->file().identity() != now) return nullptr;  // replaced meanwhile
    std::error_code not_ours;                            // another user's file is used all the same
    fs::last_write_time(seal_path(path), fs::file_time_type::clock::now(), not_ours);
    return file;
  } catch (const Error& error) {
    log_warning("{}; {}", error.what(), consequence);
    return nullptr;
  }
}

void write_sealed(const fs::path& path, const std::vector<std::pair<std::string, std::span<const std::byte>>>& entries,
                  const std::function<void(uint64_t)>& progress) {
  std::vector<SafetensorsPlan> plan;
  for (const auto& [name, bytes] : entries) plan.push_back({name, DType::kU8, {static_cast<int64_t>(bytes.size())}});
  SafetensorsWriter writer(path, plan, {});
  uint64_t done = 0;
  for (const auto& [name, bytes] : entries) {
    writer.add(bytes);
    if (progress) progress(done += bytes.size());
  }
  writer.commit();
  if (const std::optional<FileIdentity> written = identify(path)) write_file(seal_path(path), written->text());
}

}  // namespace citius
