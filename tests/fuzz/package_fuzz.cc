// A package whose citius.json (up to the first zero byte) and weights are any bytes: every weight is put together
// again, or refused by an Error. Without a '{' at the beginning all bytes are weights.
#include <algorithm>

#include "fuzz_files.h"
#include "io/package.h"

namespace {

// One directory a process.
const std::filesystem::path& directory() {
  static const std::filesystem::path path = [] {
    std::filesystem::path made = citius::memory_directory("package-fuzz");
    citius::put_file(made / "config.json", R"({"model_type":"bert"})");
    return made;
  }();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace citius;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const bool both = input.starts_with('{');
  const size_t split = both ? std::min(input.find('\0'), size - 1) + 1 : 0;
  put_file(directory() / "citius.json", both ? input.substr(0, split - 1) : R"({"package_version":1})");
  const MemoryFile memory(data + split, size - split);
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
