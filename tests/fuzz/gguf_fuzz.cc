// Any bytes as a GGUF file: tensors, metadata, the configuration, the tokenizer and the chat template made from it are
// read, or refused by an Error.
#include "fuzz_files.h"
#include "io/config.h"
#include "io/gguf.h"
#include "runtime/load_tokenizer.h"

namespace {

template <typename F>
void attempt(const F& read) {
  try {
    read();
  } catch (const citius::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace citius;
  const MemoryFile memory(data, size);
  attempt([&] {
    const auto gguf = GgufFile::open(memory.path());
    attempt([&] { read_all(*gguf); });
    for (const std::string& key : gguf->keys()) {
      (void)gguf->describe(key);
      attempt([&] { (void)gguf->get_strings(key); });
      attempt([&] { (void)gguf->get_ints(key); });
      attempt([&] { (void)gguf->get_floats(key); });
      attempt([&] { (void)gguf->get_int(key); });
    }
    attempt([&] { (void)config_from_gguf(*gguf); });
    attempt([&] { (void)generation_config_from_gguf(*gguf); });
    Checkpoint checkpoint;
    checkpoint.gguf = gguf;
    attempt([&] { (void)gguf->get_string("tokenizer.chat_template"); });
    attempt([&] {
      if (const auto tokenizer = load_tokenizer(checkpoint)) (void)tokenizer->decode(tokenizer->encode("Ab c\xC3\xA9 1").ids);
    });
  });
  return 0;
}
