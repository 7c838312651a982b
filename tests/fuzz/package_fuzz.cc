// A package whose weights file is any bytes: every weight is put together again, or refused by an Error.
#include "io/package.h"

#include "base/file.h"
#include "fuzz_files.h"

namespace {

// One directory a process, on a file system in memory where there is one.
const std::filesystem::path& directory() {
  static const std::filesystem::path path = [] {
    std::error_code ignored;
    const char* root = std::filesystem::is_directory("/dev/shm", ignored) ? "/dev/shm" : "/tmp";
    std::filesystem::path made = std::string(root) + "/citius-package-fuzz-" + std::to_string(::getpid());
    std::filesystem::create_directories(made);
    citius::write_file(made / "config.json", R"({"model_type":"bert"})");
    citius::write_file(made / "citius.json", R"({"package_version":1})");
    return made;
  }();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace citius;
  const MemoryFile memory(data, size);
  const std::filesystem::path weights = directory() / "model.safetensors";
  std::error_code ignored;
  std::filesystem::remove(weights, ignored);
  std::filesystem::create_symlink(memory.path(), weights, ignored);
  try {
    read_all(*open_checkpoint(directory()).weights);
  } catch (const Error&) {
  }
  return 0;
}
