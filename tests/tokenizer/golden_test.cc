// Every tokenizer family against what the `tokenizers` package gave: ids, offsets, segments, words, decoded text, and the
// windows of truncated texts (tests/golden/tokenizer/make.py).
#include <fmt/format.h>

#include "tokenizer/support.h"

namespace citius {
namespace {

std::string digest(std::string_view text) {
  uint64_t value = 0xCBF29CE484222325u;
  for (const char byte : text) value = (value ^ static_cast<unsigned char>(byte)) * 0x100000001B3u;
  return fmt::format("{:016x}", value);
}

std::string with_special(std::string text, const std::string& token) {
  for (size_t at = 0; (at = text.find('\x1c', at)) != std::string::npos; at += token.size()) text.replace(at, 1, token);
  return text;
}

class Family : public ::testing::TestWithParam<const char*> {};

TEST_P(Family, EncodesAndDecodesAsTheReference) {
  const json::value texts = read_json(golden_path("texts.json"));
  const json::value golden = read_json(golden_path(std::string(GetParam()) + ".json"));
  const auto tokenizer = Tokenizer::from_json(json::serialize(golden.at("tokenizer")), GetParam());
  const json::array& specials = golden.at("specials").as_array();
  const json::array& expected = golden.at("expected").as_array();
  ASSERT_GT(expected.size(), 100u);
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string token(specials[i % specials.size()].as_string());
    const std::string text = with_special(std::string(texts.at(0).at(i).as_string()), token);
    const json::value& second = texts.at(1).at(i);
    EncodeOptions options;
    options.add_special_tokens = i % 7 != 3;
    const Encoding encoding = second.is_null()
                                  ? tokenizer->encode(text, options)
                                  : tokenizer->encode_pair(text, with_special(std::string(second.as_string()), token), options);
    const std::string decoded = tokenizer->decode(encoding.ids);
    const std::string line = line_of(encoding, decoded);
    const std::string wanted(expected[i].as_string());
    EXPECT_EQ(wanted, wanted.find('|') != std::string::npos ? line : digest(line)) << "text " << i << ": " << text << "\n" << line;
    EXPECT_EQ(decoded, decode_streaming(*tokenizer, encoding.ids, /*skip_special=*/true)) << "text " << i;
    EXPECT_EQ(tokenizer->decode(encoding.ids, false), decode_streaming(*tokenizer, encoding.ids, /*skip_special=*/false));
  }
}

INSTANTIATE_TEST_SUITE_P(All, Family,
                         ::testing::Values("bert", "bert_cased", "mpnet", "gpt2", "roberta", "qwen2", "llama3", "tekken", "smollm2",
                                           "modernbert", "llama", "mistral", "t5", "xlmr", "albert", "deberta", "unigram_bytes", "mixed"),
                         [](const auto& info) { return std::string(info.param); });

class Windows : public ::testing::TestWithParam<const char*> {};

TEST_P(Windows, OverflowAsTheReference) {
  const json::value golden = read_json(golden_path(std::string(GetParam()) + ".json"));
  const auto tokenizer = Tokenizer::from_json(json::serialize(golden.at("tokenizer")), GetParam());
  for (const json::value& item : golden.at("windows").as_array()) {
    const json::array& window = item.as_array();
    Truncation truncation;
    truncation.max_length = window[2].to_number<size_t>();
    truncation.stride = window[3].to_number<size_t>();
    const std::string strategy(window[4].as_string());
    truncation.strategy = strategy == "only_first"    ? TruncationStrategy::kOnlyFirst
                          : strategy == "only_second" ? TruncationStrategy::kOnlySecond
                                                      : TruncationStrategy::kLongestFirst;
    truncation.from_left = window[5].as_string() == "left";
    EncodeOptions options;
    options.truncation = truncation;
    options.keep_overflow = true;
    const std::string text(window[0].as_string());
    const Encoding encoding =
        window[1].is_null() ? tokenizer->encode(text, options) : tokenizer->encode_pair(text, std::string(window[1].as_string()), options);
    const json::array& lines = window[6].as_array();
    ASSERT_EQ(lines.size(), 1 + encoding.overflowing.size()) << json::serialize(item);
    EXPECT_LE(encoding.size(), truncation.max_length);
    for (size_t i = 0; i < lines.size(); ++i) {
      EXPECT_EQ(std::string(lines[i].as_string()), line_of(i == 0 ? encoding : encoding.overflowing[i - 1], "")) << json::serialize(item);
    }
    options.keep_overflow = false;
    const Encoding alone = tokenizer->encode(text, EncodeOptions{});
    if (window[1].is_null()) {
      EXPECT_EQ(encoding.num_truncated + encoding.size(), alone.size());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Windows, ::testing::Values("bert", "roberta"), [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace citius
