#include <fcntl.h>
#include <fmt/ranges.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>
#include <regex>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "io/companion_files.h"
#include "io/convert.h"
#include "io/gguf_writer.h"
#include "io/package.h"
#include "io/package_codec.h"
#include "io/package_digest.h"
#include "io/quantization_config.h"
#include "io/safetensors_writer.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_system(const fs::path& path, std::string_view what) {
  fail(ErrorKind::kResource, path.string(), "{} failed: {}", what, std::strerror(errno));
}

constexpr const char* kStagingMark = ".tmp";  // the number of the process that writes, and one of chance: containers share numbers
constexpr const char* kReplacedMark = ".old";

constexpr const char* kStagingLock = ".citius-writing";

// The lock goes last: what is left where this is killed is still known by it.
void remove_staged(const fs::path& directory) {
  std::error_code ignored;
  if (!fs::is_symlink(directory, ignored)) {
    for (fs::directory_iterator entry(directory, ignored), end; entry != end; entry.increment(ignored)) {
      if (entry->path().filename() != kStagingLock) fs::remove_all(entry->path(), ignored);
    }
  }
  fs::remove_all(directory, ignored);
}

// What stands behind kStagingMark in the names of staging directories, and in no other: a published package may hold a lock too.
bool is_staging_end(const std::string& text) {
  static const std::regex kEnd("[0-9]+-[0-9a-f]{8}(" + std::string(kReplacedMark) + ")?");
  return std::regex_match(text, kEnd);
}

// Removes what processes that were killed left of their packages for `target`: directories with the lock of a writer in them, which
// nobody holds.
void remove_abandoned(const fs::path& target) {
  const std::string start = target.filename().string() + kStagingMark;
  std::error_code ignored;
  const bool published = fs::exists(target, ignored);
  std::vector<fs::path> abandoned;
  for (const auto& entry : fs::directory_iterator(target.parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(start) || !is_staging_end(name.substr(start.size())) || entry.is_symlink(ignored)) continue;
    if (!published && name.ends_with(kReplacedMark)) continue;  // the only package that there is
    const int lock = ::open((entry.path() / kStagingLock).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0) continue;
    if (::flock(lock, LOCK_EX | LOCK_NB) == 0) abandoned.push_back(entry.path());
    ::close(lock);
  }
  for (const fs::path& directory : abandoned) remove_staged(directory);
}

// A directory that is filled beside its place and then published; removed where that does not happen.
class StagedDirectory {
 public:
  explicit StagedDirectory(fs::path target) : target_(std::move(target)) {
    staging_ = target_;
    staging_ += fmt::format("{}{}-{:08x}", kStagingMark, ::getpid(), std::random_device()());
    std::error_code error;
    fs::create_directories(target_.parent_path(), error);
    remove_abandoned(target_);
    if (::mkdir(staging_.c_str(), 0755) != 0) fail_system(staging_, "making the directory");
    lock_ = take_lock(staging_);
    if (lock_ < 0) fail_system(staging_ / kStagingLock, "taking the lock");
  }
  ~StagedDirectory() {
    std::error_code ignored;
    if (publishing_) fs::remove(target_ / kStagingLock, ignored);
    if (!staging_.empty()) remove_staged(staging_);
    for (const int lock : {lock_, replaced_lock_}) {
      if (lock >= 0) ::close(lock);
    }
  }
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  const fs::path& path() const { return staging_; }

  // The lock goes along, and what is replaced gets one before: whatever a kill leaves beside the package is known by it. In the package
  // it says nothing.
  void publish() {
    std::error_code ignored;
    sync(staging_);
    publishing_ = true;
    const bool replaces = fs::exists(target_, ignored);
    // Of a link that alone is replaced. Where nothing can be written, no lock need be.
    if (replaces && !fs::is_symlink(target_, ignored)) replaced_lock_ = take_lock(target_);
    if (!replaces) {
      if (::rename(staging_.c_str(), target_.c_str()) != 0) fail_system(target_, "rename");
      staging_.clear();
    } else if (::renameat2(AT_FDCWD, staging_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) != 0) {
      // A file system without exchange: move the old one aside first.
      const fs::path old = fs::path(staging_) += kReplacedMark;
      if (::rename(target_.c_str(), old.c_str()) != 0) fail_system(target_, "rename");
      if (::rename(staging_.c_str(), target_.c_str()) != 0) {
        const int error = errno;
        ::rename(old.c_str(), target_.c_str());
        errno = error;
        fail_system(target_, "rename");
      }
      staging_ = old;  // the destructor removes what was replaced
    }
    sync(target_.parent_path());
  }

 private:
  // -1 where it cannot be had.
  static int take_lock(const fs::path& directory) {
    const int lock = ::open((directory / kStagingLock).c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (lock < 0 || ::flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
    ::close(lock);
    return -1;
  }

  static void sync(const fs::path& directory) {
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) fail_system(directory, "open");
    ::fsync(fd);
    ::close(fd);
  }

  fs::path target_, staging_;
  int lock_ = -1, replaced_lock_ = -1;
  bool publishing_ = false;
};

// What citius.json says the package there consists of, with the reports; empty where it is none.
std::set<std::string> written_files(const fs::path& directory) {
  if (!is_package(directory)) return {};
  try {
    const fs::path file = directory / "citius.json";
    const json::value citius = read_json(file, size_t{256} << 20);
    std::set<std::string> names{"citius.json", "report.json", "report.html"};
    const JsonObject files = JsonObject(citius, file.string()).get_object("files");
    for (const auto& item : files.object()) names.emplace(item.key());
    return names;
  } catch (const Error&) {
    return {};  // damaged, or another program's
  }
}

// Relative names of what is in `directory` and would be lost by writing a package there, sorted. Where there is no package that is
// all that it holds, and no folder of it (the root's, say) is entered.
std::vector<std::string> foreign_files(const fs::path& directory) {
  const std::set<std::string> written = written_files(directory);
  std::vector<std::string> foreign;
  std::error_code error, ignored;
  for (fs::recursive_directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (written.empty()) it.disable_recursion_pending();
    if (!written.empty() && it->is_directory(ignored) && !it->is_symlink(ignored)) continue;
    std::string name = it->path().lexically_relative(directory).generic_string();
    if (!written.contains(name) && name != kStagingLock) foreign.push_back(std::move(name));
  }
  if (error) fail(ErrorKind::kResource, directory.string(), "cannot be read: {}", error.message());
  std::sort(foreign.begin(), foreign.end());
  return foreign;
}

void copy_companions(const fs::path& from, const fs::path& to) {
  for (const fs::path& name : companion_files(from)) {
    const MappedFile source(from / name);
    fs::create_directories((to / name).parent_path());
    write_file(to / name, source.text());
  }
}

struct Stored {
  std::string name;
  Format target = Format::kF32;
  bool turn = false;
  int64_t rows = 0, cols = 0;  // as written
  std::vector<PackagePart> parts;

  size_t bytes() const { return format_row_bytes(target, cols) * static_cast<size_t>(rows); }
};

DType dtype_of(Format format) { return format == Format::kF32 ? DType::kF32 : format == Format::kF16 ? DType::kF16 : DType::kBF16; }

std::vector<int64_t> dims_of(const Shape& shape) {
  std::vector<int64_t> dims;
  for (int axis = 0; axis < shape.rank(); ++axis) dims.push_back(shape[axis]);
  return dims;
}

std::vector<Stored> plan_weights(const TensorContainer& weights, const std::vector<PackageWeight>& changes) {
  std::unordered_map<std::string, const PackageWeight*> by_name;
  for (const PackageWeight& change : changes) {
    if (!weights.has(change.name)) fail(ErrorKind::kUsage, weights.where(), "has no tensor '{}' to convert", change.name);
    by_name[change.name] = &change;
  }
  std::vector<Stored> plan;
  for (const std::string& name : weights.names()) {
    const EncodedMatrix matrix = weights.matrix(name).matrix;
    const auto found = by_name.find(name);
    Stored stored{name, found == by_name.end() ? matrix.format : found->second->format, false, matrix.rows, matrix.cols, {}};
    const bool turned = found != by_name.end() && found->second->transposed && weights.is_float(name);
    stored.turn = turned && !format_is_float(stored.target);
    if (stored.turn) std::swap(stored.rows, stored.cols);
    if (stored.cols % format_block_elements(stored.target) != 0) {
      fail_input(name, "cannot be stored as {}: its rows have {} weights, expected a multiple of {}", format_name(stored.target),
                 stored.cols, format_block_elements(stored.target));
    }
    stored.parts = package_parts(name, stored.target, stored.rows, stored.cols);
    plan.push_back(std::move(stored));
  }
  return plan;
}

// Converts the weights one by one in the order of the plan and hands each to `write`.
template <typename Write>
void convert_weights(const TensorContainer& weights, const std::vector<Stored>& plan, ThreadPool& threads, const OnWritten& on_written,
                     const Write& write) {
  double total = 0, written = 0;
  for (const Stored& stored : plan) total += static_cast<double>(stored.bytes());
  for (const Stored& stored : plan) {
    const OwnedMatrix converted = convert_weight(weights.matrix(stored.name), stored.target, stored.turn, stored.name, threads);
    write(stored, converted.matrix);
    written += static_cast<double>(stored.bytes());
    if (on_written) on_written(written / total);
  }
}

void write_weights(const fs::path& path, const TensorContainer& weights, const std::vector<Stored>& plan, ThreadPool& threads,
                   const OnWritten& on_written) {
  std::vector<SafetensorsPlan> files;
  json::object formats;
  for (const Stored& stored : plan) {
    if (stored.parts.empty()) files.push_back({stored.name, dtype_of(stored.target), dims_of(weights.shape(stored.name))});
    for (const PackagePart& part : stored.parts) files.push_back({part.name, part.dtype, part.shape});
    if (stored.parts.empty()) continue;
    formats[stored.name] = {{"format", std::string(format_name(stored.target))}, {"shape", json::array{stored.rows, stored.cols}}};
  }
  SafetensorsWriter writer(path, std::move(files), {{"format", "pt"}, {"citius.formats", json::serialize(formats)}});
  convert_weights(weights, plan, threads, on_written, [&](const Stored& stored, const EncodedMatrix& converted) {
    if (stored.parts.empty()) return writer.add({converted.data, stored.bytes()});
    for (const std::vector<std::byte>& bytes : split_matrix(converted, stored.parts)) writer.add(bytes);
  });
  writer.commit();
}

}  // namespace

fs::path package_target(const fs::path& directory) {
  if (directory.empty()) fail(ErrorKind::kUsage, "out", "got an empty name, expected that of a directory");
  fs::path target = fs::absolute(directory).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  std::error_code error;
  if (!fs::exists(target, error)) return target;
  if (!fs::is_directory(target, error)) fail(ErrorKind::kUsage, directory.string(), "exists and is no directory");
  const std::vector<std::string> foreign = foreign_files(target);
  if (foreign.empty()) return target;
  constexpr size_t kMostNamed = 5;
  const std::span<const std::string> named = std::span(foreign).first(std::min(kMostNamed, foreign.size()));
  fail(ErrorKind::kUsage, directory.string(), "holds files that no package wrote there: {}{}; move them, or choose another directory",
       fmt::join(named, ", "), foreign.size() > kMostNamed ? fmt::format(" and {} more", foreign.size() - kMostNamed) : "");
}

void write_package(const fs::path& directory, const Checkpoint& source, const PackageContent& content, ThreadPool& threads,
                   const OnWritten& on_written) {
  if (source.weights == nullptr) fail(ErrorKind::kUsage, source.path.string(), "has no weights to make a package of");
  const fs::path target = package_target(directory);
  const std::vector<Stored> plan = plan_weights(*source.weights, content.weights);
  std::vector<QuantizedWeight> quantized;
  for (const Stored& stored : plan) {
    if (!stored.parts.empty()) quantized.push_back({stored.name, stored.target, stored.turn});
  }
  StagedDirectory staged(target);
  json::object config = source.config;
  config.erase("quantization_config");
  if (!source.is_gguf()) {
    if (auto quantization = compressed_tensors_config(quantized)) config["quantization_config"] = std::move(*quantization);
    copy_companions(source.path, staged.path());
  } else {
    GgufWriter(staged.path() / "metadata.gguf", *source.gguf, {}).commit();
  }
  write_file(staged.path() / "config.json", json::serialize(config) + "\n");
  write_weights(staged.path() / "model.safetensors", *source.weights, plan, threads, on_written);
  json::object citius = content.citius;
  citius["package_version"] = kPackageVersion;
  json::object files;
  for (const auto& [name, digest] : file_digests(staged.path())) {
    if (name != kStagingLock) files[name] = digest;
  }
  citius["files"] = std::move(files);
  write_file(staged.path() / "citius.json", sealed_citius(std::move(citius)));
  for (const auto& [name, text] : content.files) {
    if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos) fail(ErrorKind::kUsage, name, "is no plain file name");
    write_file(staged.path() / name, text);
  }
  staged.publish();
}

namespace {

// The metadata key that marks what write_gguf wrote.
constexpr const char* kSourceDigest = "citius.source_digest";

// Throws where `path` holds something that writing a GGUF file of `source` there must not replace.
void check_gguf_target(const fs::path& path, const Checkpoint& source, const std::string& digest) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return;
  if (!fs::is_regular_file(path, ignored)) fail(ErrorKind::kUsage, path.string(), "exists and is no file");
  for (const auto& shard : source.gguf->files()) {
    if (fs::equivalent(path, shard->path(), ignored)) {
      fail(ErrorKind::kUsage, path.string(), "is a file that the model is read from; name another one");
    }
  }
  std::optional<std::string> written_from;
  try {
    written_from = GgufFile::open(path)->get_string(kSourceDigest);
  } catch (const Error&) {
    // damaged, or no GGUF file
  }
  if (written_from == digest) return;
  fail(ErrorKind::kUsage, path.string(), "exists and {}; move it, or name another one",
       written_from ? "was made from another model" : "is no GGUF file that citius wrote");
}

}  // namespace

void write_gguf(const fs::path& path, const Checkpoint& source, const std::vector<PackageWeight>& weights, const GgufOrigin& origin,
                ThreadPool& threads, const OnWritten& on_written) {
  if (!source.is_gguf() || source.weights == nullptr) {
    fail(ErrorKind::kUsage, source.path.string(), "did not come from a GGUF file; only such models can be written as GGUF");
  }
  check_gguf_target(path, source, origin.source_digest);
  const std::vector<Stored> plan = plan_weights(*source.weights, weights);
  std::vector<GgufPlan> tensors;
  for (const Stored& stored : plan) {
    if (!ggml_type_of(stored.target)) {
      fail(ErrorKind::kUsage, stored.name, "{} is no GGUF type; choose one of the q, iq, mxfp4 or float formats",
           format_name(stored.target));
    }
    tensors.push_back({stored.name, stored.target, source.weights->shape(stored.name)});
  }
  constexpr uint32_t kQuantizationVersion = 2;  // of ggml's block layouts
  GgufValues values{{"general.quantization_version", kQuantizationVersion}, {kSourceDigest, origin.source_digest}};
  if (origin.file_type) values["general.file_type"] = *origin.file_type;
  GgufWriter writer(path, *source.gguf, std::move(tensors), values);
  convert_weights(*source.weights, plan, threads, on_written,
                  [&](const Stored& stored, const EncodedMatrix& converted) { writer.add({converted.data, stored.bytes()}); });
  writer.commit();
}

}  // namespace citius
