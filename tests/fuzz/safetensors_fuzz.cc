// Any bytes as a safetensors file: read completely, or refused by an Error.
#include "fuzz_files.h"
#include "io/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace citius;
  const MemoryFile memory(data, size);
  try {
    const auto file = std::make_shared<const SafetensorsFile>(memory.path());
    for (const auto& [name, entry] : file->entries()) to_matrix(entry, file);
  } catch (const Error&) {
  }
  return 0;
}
