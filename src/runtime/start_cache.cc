#include "runtime/start_cache.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <ctime>
#include <optional>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSecond = 1'000'000'000;
constexpr auto kUnused = std::chrono::hours(24 * 30);

// What stat tells of a file; nullopt where it cannot be asked.
struct Identity {
  std::string place;    // device and inode
  std::string version;  // size and times
  int64_t changed;      // the later time, nanoseconds since 1970
};
std::optional<Identity> identity(const fs::path& file) {
  struct stat info{};
  if (::stat(file.c_str(), &info) != 0) return std::nullopt;
  const auto nanoseconds = [](const timespec& time) { return int64_t{time.tv_sec} * kSecond + time.tv_nsec; };
  const int64_t modified = nanoseconds(info.st_mtim), changed = nanoseconds(info.st_ctim);
  return Identity{fmt::format("{:x}-{}", info.st_dev, info.st_ino), fmt::format("{} {} {}", info.st_size, modified, changed),
                  std::max(modified, changed)};
}

int64_t now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return int64_t{time.tv_sec} * kSecond + time.tv_nsec;
}

// The content of a small file, empty where it cannot be read. A use counts as a change: see remove_unused().
std::string recall(const fs::path& path) {
  if (!is_there(path)) return {};
  try {
    ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
    return read_file(path, 4096);
  } catch (const Error&) {
    return {};
  }
}

void remove_unused(const fs::path& directory) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    const auto used = entry.last_write_time(error);
    if (!error && entry.is_regular_file(error) && fs::file_time_type::clock::now() - used > kUnused) fs::remove(entry.path(), error);
  }
}

// Makes the directory and room in it. False where it cannot be written to.
bool prepare(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error || ::access(directory.c_str(), W_OK) != 0) return false;
  remove_unused(directory);
  return true;
}

// Nothing depends on what is remembered: where it cannot be written, the work is done again.
void remember(const fs::path& path, const std::string& text) {
  if (!prepare(path.parent_path())) return;
  try {
    write_file(path, text);
  } catch (const Error&) {
  }
}

}  // namespace

StartCache::StartCache(fs::path directory, uint64_t least_bytes) : directory_(std::move(directory)), least_bytes_(least_bytes) {}

std::string StartCache::sha256(const fs::path& file) const {
  const std::optional<Identity> before = directory_.empty() ? std::nullopt : identity(file);
  if (!before) return sha256_file(file);
  const fs::path memory = directory_ / "digests" / before->place;
  const std::string known = recall(memory);
  if (known.starts_with(before->version + " ")) return known.substr(before->version.size() + 1);
  const std::string digest = sha256_file(file);
  const std::optional<Identity> after = identity(file);
  if (after && after->version == before->version && now() - after->changed > kSecond) remember(memory, after->version + " " + digest);
  return digest;
}

std::shared_ptr<PackedFile> StartCache::packed_file(const Checkpoint& checkpoint, const std::string& packing) const {
  if (directory_.empty() || packing.empty() || checkpoint.weights == nullptr) return nullptr;
  const std::vector<fs::path> files = checkpoint.weights->files();
  uint64_t bytes = 0;
  for (const fs::path& file : files) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    if (!error) bytes += size;
  }
  if (files.empty() || bytes < least_bytes_) return nullptr;
  const fs::path directory = directory_ / "packed";
  std::string digests = packing;
  for (const fs::path& file : files) digests += " " + sha256(file);
  fs::path path = directory / (citius::sha256(digests) + ".safetensors");
  if (is_there(path)) {
    ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
  } else if (!prepare(directory)) {
    log_warning("{} cannot be written to: the weights are packed at every start; set CITIUS_HOME to a folder you may write to",
                directory.string());
    return nullptr;
  }
  return std::make_shared<PackedFile>(std::move(path));
}

bool StartCache::passed(const std::string& key) const {
  const std::optional<Identity> program = directory_.empty() ? std::nullopt : identity("/proc/self/exe");
  return program && recall(directory_ / "passed" / citius::sha256(key)) == program->place + " " + program->version;
}

void StartCache::remember_passed(const std::string& key) const {
  const std::optional<Identity> program = directory_.empty() ? std::nullopt : identity("/proc/self/exe");
  if (program) remember(directory_ / "passed" / citius::sha256(key), program->place + " " + program->version);
}

}  // namespace citius
