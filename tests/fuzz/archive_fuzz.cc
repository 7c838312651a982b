// Any bytes as a wheel: unpacked below one directory, or refused by an Error.
#include "fuzz_files.h"
#include "store/fetch.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace citius;
  static const std::filesystem::path directory = memory_directory("archive-fuzz");
  std::filesystem::remove_all(directory / "out");
  put_file(directory / "m.whl", {reinterpret_cast<const char*>(data), size});
  try {
    unpack_model(directory / "m.whl", "", directory / "out");
  } catch (const Error&) {
  } catch (const std::filesystem::filesystem_error&) {  // a name too long, or one that is a file and a folder; pull()
                                                        // tells it
  }
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().filename() != "m.whl" && entry.path().filename() != "out") std::abort();
  }
  return 0;
}
