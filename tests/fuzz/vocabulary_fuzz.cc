// Any bytes as the plain files of a tokenizer: the first byte chooses vocab.txt, or vocab.json and merges.txt; zero
// bytes separate the files, the last of which is tokenizer_config.json. What is accepted encodes and decodes.
#include "fuzz_files.h"
#include "tokenizer/tokenizer.h"

namespace {

std::string_view take_file(std::string_view& input) {
  const std::string_view file = input.substr(0, input.find('\0'));
  input.remove_prefix(std::min(input.size(), file.size() + 1));
  return file;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace citius;
  static const std::filesystem::path lists = memory_directory("vocab-txt-fuzz"), pairs = memory_directory("vocab-json-fuzz");
  if (size == 0) return 0;
  std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool list = data[0] % 2 == 0;
  const std::filesystem::path& directory = list ? lists : pairs;
  put_file(directory / (list ? "vocab.txt" : "vocab.json"), take_file(input));
  if (!list) put_file(directory / "merges.txt", take_file(input));
  put_file(directory / "tokenizer_config.json", input.empty() ? R"({"tokenizer_class": "GPT2Tokenizer"})" : input);
  try {
    const auto tokenizer = Tokenizer::from_directory(directory);
    (void)tokenizer->decode(tokenizer->encode("Ab c\xC3\xA9 1").ids);
  } catch (const Error&) {
  }
  return 0;
}
