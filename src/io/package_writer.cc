#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <unordered_map>

#include "base/error.h"
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

// Files that a model directory may have and that stay as they are.
constexpr const char* kCopied[] = {"generation_config.json",
                                   "tokenizer.json",
                                   "tokenizer_config.json",
                                   "special_tokens_map.json",
                                   "added_tokens.json",
                                   "vocab.txt",
                                   "vocab.json",
                                   "merges.txt",
                                   "tokenizer.model",
                                   "spiece.model",
                                   "sentencepiece.bpe.model",
                                   "chat_template.jinja",
                                   "chat_template.json",
                                   "modules.json",
                                   "sentence_bert_config.json",
                                   "sentence_roberta_config.json",
                                   "sentence_distilbert_config.json",
                                   "sentence_mpnet_config.json",
                                   "sentence_xlm-roberta_config.json",
                                   "config_sentence_transformers.json",
                                   "LICENSE",
                                   "LICENSE.txt",
                                   "LICENSE.md",
                                   "NOTICE"};

[[noreturn]] void fail_system(const fs::path& path, std::string_view what) {
  fail(ErrorKind::kResource, path.string(), "{} failed: {}", what, std::strerror(errno));
}

// A directory that is filled beside its place and then published; removed where that does not happen.
class StagedDirectory {
 public:
  explicit StagedDirectory(fs::path target) : target_(std::move(target)) {
    if (!target_.has_filename()) target_ = target_.parent_path();
    staging_ = target_;
    staging_ += ".tmp" + std::to_string(::getpid());
    std::error_code error;
    if (target_.has_parent_path()) fs::create_directories(target_.parent_path(), error);
    fs::remove_all(staging_, error);
    if (::mkdir(staging_.c_str(), 0755) != 0) fail_system(staging_, "making the directory");
  }
  ~StagedDirectory() {
    std::error_code ignored;
    if (!staging_.empty()) fs::remove_all(staging_, ignored);
  }
  StagedDirectory(const StagedDirectory&) = delete;
  StagedDirectory& operator=(const StagedDirectory&) = delete;

  const fs::path& path() const { return staging_; }

  void publish() {
    sync(staging_);
    std::error_code ignored;
    if (!fs::exists(target_, ignored)) {
      if (::rename(staging_.c_str(), target_.c_str()) != 0) fail_system(target_, "rename");
      staging_.clear();
    } else if (::renameat2(AT_FDCWD, staging_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) != 0) {
      // A file system without exchange: move the old one aside first.
      const fs::path old = fs::path(staging_) += ".old";
      if (::rename(target_.c_str(), old.c_str()) != 0) fail_system(target_, "rename");
      if (::rename(staging_.c_str(), target_.c_str()) != 0) {
        const int error = errno;
        ::rename(old.c_str(), target_.c_str());
        errno = error;
        fail_system(target_, "rename");
      }
      staging_ = old;  // the destructor removes what was replaced
    }
    sync(target_.has_parent_path() ? target_.parent_path() : fs::path("."));
  }

 private:
  static void sync(const fs::path& directory) {
    const int fd = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) fail_system(directory, "open");
    ::fsync(fd);
    ::close(fd);
  }

  fs::path target_, staging_;
};

void refuse_foreign_directory(const fs::path& directory) {
  std::error_code error;
  if (!fs::exists(directory, error)) return;
  if (!fs::is_directory(directory, error)) fail(ErrorKind::kUsage, directory.string(), "exists and is no directory");
  if (is_package(directory) || fs::is_empty(directory, error)) return;
  fail(ErrorKind::kUsage, directory.string(), "exists, is not empty and is no package; choose another directory");
}

void copy_plain_file(const fs::path& from, const fs::path& to) {
  const MappedFile source(from);
  fs::create_directories(to.parent_path());
  write_file(to, source.text());
}

// Directories of sentence-transformers modules ("1_Pooling") with all their files, one level deep.
void copy_modules(const fs::path& from, const fs::path& to) {
  std::error_code error;
  if (!fs::exists(from / "modules.json", error)) return;
  const json::value modules = read_json(from / "modules.json", size_t{1} << 20);
  if (!modules.is_array()) fail_input((from / "modules.json").string(), "is not a list of modules");
  for (const json::value& item : modules.get_array()) {
    const std::string name = JsonObject(item, (from / "modules.json").string()).get_string("path", "");
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos || !fs::is_directory(from / name, error))
      continue;
    for (const fs::directory_entry& entry : fs::directory_iterator(from / name)) {
      if (entry.is_regular_file()) copy_plain_file(entry.path(), to / name / entry.path().filename());
    }
  }
}

void copy_files(const fs::path& from, const fs::path& to) {
  std::error_code error;
  for (const char* name : kCopied) {
    if (fs::is_regular_file(from / name, error)) copy_plain_file(from / name, to / name);
  }
  const fs::path templates = from / "additional_chat_templates";
  if (fs::is_directory(templates, error)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(templates)) {
      if (entry.path().extension() == ".jinja") copy_plain_file(entry.path(), to / "additional_chat_templates" / entry.path().filename());
    }
  }
  copy_modules(from, to);
}

struct Stored {
  std::string name;
  Format target = Format::kF32;
  bool turn = false;
  int64_t rows = 0, cols = 0;  // as written
  std::vector<PackagePart> parts;
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

void write_weights(const fs::path& path, const TensorContainer& weights, const std::vector<Stored>& plan, ThreadPool& threads) {
  std::vector<SafetensorsPlan> files;
  json::object formats;
  for (const Stored& stored : plan) {
    if (stored.parts.empty()) files.push_back({stored.name, dtype_of(stored.target), dims_of(weights.shape(stored.name))});
    for (const PackagePart& part : stored.parts) files.push_back({part.name, part.dtype, part.shape});
    if (stored.parts.empty()) continue;
    formats[stored.name] = {{"format", std::string(format_name(stored.target))}, {"shape", json::array{stored.rows, stored.cols}}};
  }
  SafetensorsWriter writer(path, std::move(files), {{"format", "pt"}, {"citius.formats", json::serialize(formats)}});
  for (const Stored& stored : plan) {
    const OwnedMatrix converted = convert_weight(weights.matrix(stored.name), stored.target, stored.turn, stored.name, threads);
    if (stored.parts.empty()) {
      writer.add({converted.matrix.data, converted.matrix.row_bytes() * static_cast<size_t>(converted.matrix.rows)});
    } else {
      for (const std::vector<std::byte>& bytes : split_matrix(converted.matrix, stored.parts)) writer.add(bytes);
    }
  }
  writer.commit();
}

}  // namespace

void write_package(const fs::path& directory, const Checkpoint& source, const PackageContent& content, ThreadPool& threads) {
  if (source.weights == nullptr) fail(ErrorKind::kUsage, source.path.string(), "has no weights to make a package of");
  refuse_foreign_directory(directory);
  const std::vector<Stored> plan = plan_weights(*source.weights, content.weights);
  std::vector<QuantizedWeight> quantized;
  for (const Stored& stored : plan) {
    if (!stored.parts.empty()) quantized.push_back({stored.name, stored.target, stored.turn});
  }
  StagedDirectory staged(directory);
  json::object config = source.config;
  config.erase("quantization_config");
  if (!source.is_gguf()) {
    if (auto quantization = compressed_tensors_config(quantized)) config["quantization_config"] = std::move(*quantization);
    copy_files(source.path, staged.path());
  } else {
    GgufWriter(staged.path() / "metadata.gguf", *source.gguf, {}).commit();
  }
  write_file(staged.path() / "config.json", json::serialize(config) + "\n");
  write_weights(staged.path() / "model.safetensors", *source.weights, plan, threads);
  json::object citius = content.citius;
  citius["package_version"] = kPackageVersion;
  citius["files"] = file_digests(staged.path());
  write_file(staged.path() / "citius.json", sealed_citius(std::move(citius)));
  for (const auto& [name, text] : content.files) {
    if (name.empty() || name[0] == '.' || name.find('/') != std::string::npos) fail(ErrorKind::kUsage, name, "is no plain file name");
    write_file(staged.path() / name, text);
  }
  staged.publish();
}

void write_gguf(const fs::path& path, const Checkpoint& source, const std::vector<PackageWeight>& weights, ThreadPool& threads) {
  if (!source.is_gguf() || source.weights == nullptr) {
    fail(ErrorKind::kUsage, source.path.string(), "did not come from a GGUF file; only such models can be written as GGUF");
  }
  const std::vector<Stored> plan = plan_weights(*source.weights, weights);
  std::vector<GgufPlan> tensors;
  for (const Stored& stored : plan) {
    if (!ggml_type_of(stored.target)) {
      fail(ErrorKind::kUsage, stored.name, "{} is no GGUF type; choose one of the q, iq, mxfp4 or float formats",
           format_name(stored.target));
    }
    tensors.push_back({stored.name, stored.target, source.weights->shape(stored.name)});
  }
  GgufWriter writer(path, *source.gguf, std::move(tensors));
  for (const Stored& stored : plan) {
    const OwnedMatrix converted = convert_weight(source.weights->matrix(stored.name), stored.target, false, stored.name, threads);
    writer.add({converted.matrix.data, converted.matrix.row_bytes() * static_cast<size_t>(converted.matrix.rows)});
  }
  writer.commit();
}

}  // namespace citius
