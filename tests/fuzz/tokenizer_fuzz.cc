// Fuzzes the tokenizer: the input is a tokenizer.json, a zero byte, and a text; without a zero byte it is a text for a
// fixed tokenizer. Whatever is accepted must encode and decode without a fault, and offsets must lie in the text.
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "tokenizer/tokenizer.h"

namespace citius {
namespace {

constexpr const char* kFixed = R"({"added_tokens":[{"id":4,"content":"<s>","special":true,"rstrip":true}],
  "normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Lowercase"}]},
  "pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"ByteLevel","add_prefix_space":true}]},
  "decoder":{"type":"ByteLevel"},"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"<unk>":3},"merges":["a b"],"unk_token":"<unk>"}})";

void check_text(const Tokenizer& tokenizer, std::string_view text) {
  const Encoding encoding = tokenizer.encode(text);
  for (size_t i = 0; i < encoding.size(); ++i) {
    CHECK(encoding.byte_offsets[i].begin >= 0 && encoding.byte_offsets[i].begin <= encoding.byte_offsets[i].end);
    CHECK(static_cast<size_t>(encoding.byte_offsets[i].end) <= text.size());
  }
  const std::string whole = tokenizer.decode(encoding.ids);
  StreamDecoder stream(tokenizer);
  std::string streamed;
  for (const int32_t id : encoding.ids) streamed += stream.push(id);
  CHECK(streamed + stream.finish() == whole);
  EncodeOptions options;
  options.truncation = Truncation{.max_length = 8, .stride = 1};
  options.keep_overflow = true;
  tokenizer.encode_pair(text, text, options);
}

}  // namespace
}  // namespace citius

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  try {
    if (zero == std::string_view::npos) {
      static const std::unique_ptr<citius::Tokenizer> fixed = citius::Tokenizer::from_json(citius::kFixed, "fixed");
      citius::check_text(*fixed, input);
    } else {
      citius::check_text(*citius::Tokenizer::from_json(input.substr(0, zero), "fuzz"), input.substr(zero + 1));
    }
  } catch (const citius::Error&) {
  }
  return 0;
}
