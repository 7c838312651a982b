#include "runtime/start_cache.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <optional>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "io/sealed_file.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSecond = 1'000'000'000;
constexpr size_t kDigestDigits = 64;
constexpr auto kUnused = std::chrono::hours(24 * 30);
constexpr auto kReplaced = std::chrono::hours(24);  // by what another version of the program packs
constexpr auto kAbandoned = std::chrono::hours(1);  // no file takes so long to write

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

// Makes what is on its way to the disk part of the file's times: pages that are clean tell of the next store through a mapping.
void settle(const fs::path& file) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return;
  ::fsync(fd);
  ::close(fd);
}

// Files that nobody used for so long, of those whose names begin with `start`, and what writers that were killed left.
void remove_unused(const fs::path& directory, const std::string& start, fs::file_time_type::duration unused) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    auto used = entry.last_write_time(error);
    if (error || !entry.is_regular_file(error)) continue;
    fs::path seal = entry.path();
    const auto sealed = fs::last_write_time(seal += kSealEnding, error);
    if (!error) used = std::max(used, sealed);
    const std::string name = entry.path().filename().string();
    const bool unfinished = name.find(".tmp") != std::string::npos;
    const bool old = fs::file_time_type::clock::now() - used > (unfinished ? kAbandoned : unused);
    if (old && name.starts_with(start)) fs::remove(entry.path(), error);
  }
}

// Makes the directory and room in it. False where it cannot be written to.
bool prepare(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error || ::access(directory.c_str(), W_OK) != 0) return false;
  remove_unused(directory, /*start=*/"", kUnused);
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

std::string StartCache::sha256(const fs::path& file) const { return sha256(MappedFile(file)); }

std::string StartCache::sha256(const MappedFile& file, uint64_t bytes) const {
  const FileIdentity& identity = file.identity();
  const std::string version = identity.text() + " ";
  const fs::path memory = directory_ / "digests" / fmt::format("{:x}-{}-{}", identity.device, identity.inode, bytes);
  if (!directory_.empty()) {
    const std::string known = recall(memory);
    if (known.starts_with(version) && known.size() == version.size() + kDigestDigits) return known.substr(version.size());
    settle(file.path());
  }
  Progress progress("checking " + file.path().filename().string(), bytes, ProgressUnit::kBytes);
  std::string digest = citius::sha256(file.text().substr(0, bytes), [&](uint64_t done) { progress.update(done); });
  // The time of change is the system's own: that of modification may have been set to any, in the future too.
  if (!directory_.empty() && identify(file.path()) == identity && now() - identity.changed > kSecond) {
    remember(memory, version + digest);
  }
  return digest;
}

std::shared_ptr<PackedFile> StartCache::packed_file(const Checkpoint& checkpoint, const std::string& packing) const {
  if (directory_.empty() || packing.empty() || checkpoint.weights == nullptr) return nullptr;
  std::vector<std::shared_ptr<const MappedFile>> files = checkpoint.weights->files();
  uint64_t bytes = 0;
  for (const auto& file : files) bytes += file->bytes().size();
  if (files.empty() || bytes < least_bytes_) return nullptr;
  const std::string program = own_digest();
  if (program.empty()) return nullptr;
  const fs::path directory = directory_ / "packed";
  const bool writable = prepare(directory);
  std::error_code error;
  const auto refuse = [&] {
    log_warning("{} cannot be written to: the weights are packed at every start", directory.string());
    return nullptr;
  };
  if (!writable && fs::directory_iterator(directory, error) == fs::directory_iterator()) return refuse();
  std::string digests = packing;
  for (const auto& file : files) digests += " " + sha256(*file);
  const std::string model = citius::sha256(digests) + ".";
  auto packed = std::make_shared<PackedFile>(directory / (model + program.substr(0, 16) + ".safetensors"), std::move(files));
  if (packed->is_there()) return packed;
  if (!writable) return refuse();
  remove_unused(directory, model, kReplaced);
  const fs::space_info space = fs::space(directory, error);
  if (!error && space.available / 2 < bytes) {
    log_note("{} has {} free: packed weights are not kept there, and packed at every start", directory.string(),
             format_bytes(static_cast<double>(space.available)));
    return nullptr;
  }
  return packed;
}

// Empty where nothing is kept.
fs::path StartCache::tables_path(const TokenizerSource& source) const {
  const std::string program = directory_.empty() ? std::string() : own_digest();
  if (program.empty()) return {};
  std::string digests;
  for (const auto& [file, bytes] : source.parts) digests += fmt::format("{} {}\n", sha256(*file, bytes), file->path().filename().string());
  return directory_ / "tokenizers" / (citius::sha256(digests) + "." + program.substr(0, 16) + ".safetensors");
}

std::unique_ptr<Tokenizer> StartCache::open(const TokenizerSource& source) const {
  const fs::path path = tables_path(source);
  const std::shared_ptr<const SafetensorsFile> kept = path.empty() ? nullptr : open_sealed(path, "the tokenizer is compiled again");
  if (kept != nullptr) {
    Tables tables;
    for (const auto& [name, entry] : kept->entries()) tables.add({name, /*alignment=*/1, {entry.bytes, kept}});
    try {
      return source.open(tables);
    } catch (const Error&) {  // damaged; what is wrong with the source is told by the next lines
    }
  }
  const Tables tables = source.compile();
  std::unique_ptr<Tokenizer> tokenizer = source.open(tables);
  const auto unchanged = [](const FilePart& part) { return identify(part.file->path()) == part.file->identity(); };
  if (path.empty() || !std::ranges::all_of(source.parts, unchanged) || !prepare(path.parent_path())) return tokenizer;
  remove_unused(path.parent_path(), path.filename().string().substr(0, kDigestDigits), kReplaced);
  std::vector<std::pair<std::string, std::span<const std::byte>>> entries;
  for (const Tables::Entry& entry : tables.entries()) entries.emplace_back(entry.name, entry.bytes);
  try {
    write_sealed(path, entries);
  } catch (const Error&) {  // as remember()
  }
  return tokenizer;
}

// Of the program that runs; empty where the system does not show it. What another version packed may differ.
std::string StartCache::own_digest() const {
  try {
    return sha256("/proc/self/exe");
  } catch (const Error&) {
    return {};
  }
}

bool StartCache::passed(const std::string& key) const {
  const std::optional<FileIdentity> program = directory_.empty() ? std::nullopt : identify("/proc/self/exe");
  return program && recall(directory_ / "passed" / citius::sha256(key)) == program->text();
}

void StartCache::remember_passed(const std::string& key) const {
  const std::optional<FileIdentity> program = directory_.empty() ? std::nullopt : identify("/proc/self/exe");
  if (program) remember(directory_ / "passed" / citius::sha256(key), program->text());
}

}  // namespace citius
