// Damaged and hostile tokenizer files: a clear error within a second, never a crash, a stall or gigabytes of memory.
#include <chrono>
#include <random>

#include "base/error.h"
#include "tokenizer/regex.h"
#include "tokenizer/support.h"

namespace citius {
namespace {

/// Expects Error{kInput} within `seconds`.
void expect_refused(const std::string& text, const std::string& what, double seconds = 5.0) {
  const auto start = std::chrono::steady_clock::now();
  try {
    Tokenizer::from_json(text, "hostile")->encode("a b");
    ADD_FAILURE() << "accepted: " << what << ": " << text.substr(0, 200);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << what;
    EXPECT_NE(std::string(error.what()).find("[hostile"), std::string::npos) << what << ": " << error.what();
  }
  // A second on an idle machine; sanitizers and a busy machine take several times that.
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), seconds) << what;
}

std::string bpe(const std::string& vocab, const std::string& merges, const std::string& more = "") {
  return R"({"model":{"type":"BPE","vocab":)" + vocab + R"(,"merges":)" + merges + "}" + more + "}";
}

const char* const kVocab = R"({"a":0,"b":1,"ab":2})";

TEST(Hostile, TheBaseOfTheseFilesIsGood) {
  const auto tokenizer = Tokenizer::from_json(bpe(kVocab, R"(["a b"])"), "good");
  EXPECT_EQ(tokenizer->encode_ids("aba"), (std::vector<int32_t>{2, 0}));
}

TEST(Hostile, Json) {
  expect_refused("", "empty");
  expect_refused("null", "null");
  expect_refused("[]", "a list");
  expect_refused("{}", "no model");
  expect_refused(bpe(kVocab, "[]").substr(0, 30), "truncated");
  expect_refused(std::string(100000, '['), "deep");
  expect_refused(R"({"model":)" + std::string(1000, '{') + "}", "not JSON");
  expect_refused("{\"model\":\"\xFF\"}", "invalid UTF-8");
  expect_refused(R"({"version":"2.0","model":{"type":"BPE","vocab":{},"merges":[]}})", "version");
}

TEST(Hostile, Vocabularies) {
  expect_refused(bpe(R"({"a":-1})", "[]"), "negative id");
  expect_refused(bpe(R"({"a":4294967296})", "[]"), "huge id");
  expect_refused(bpe(R"({"a":2147483646})", "[]"), "gap");
  expect_refused(bpe(R"({"a":18446744073709551615})", "[]"), "unsigned id");
  expect_refused(bpe(R"({"a":1e300})", "[]"), "float id");
  expect_refused(bpe(R"({"a":"0"})", "[]"), "string id");
  expect_refused(bpe(R"({"a":0,"b":0})", "[]"), "doubled id");
  expect_refused(bpe(R"([1,2])", "[]"), "list for a map");
  expect_refused(bpe(kVocab, R"(["a c"])"), "merge of an unknown token");
  expect_refused(bpe(kVocab, R"(["b a"])"), "merge to an unknown token");
  expect_refused(bpe(kVocab, R"(["a"])"), "merge of one");
  expect_refused(bpe(kVocab, R"([["a"]])"), "merge of one in a list");
  expect_refused(bpe(kVocab, R"([[1,2]])"), "merge of numbers");
  expect_refused(bpe(kVocab, R"({"a":"b"})"), "merges as a map");
  expect_refused(R"({"model":{"type":"Unigram","unk_id":5,"vocab":[["a",0]]}})", "unk_id");
  expect_refused(R"({"model":{"type":"Unigram","unk_id":-1,"vocab":[["a",0]]}})", "negative unk_id");
  expect_refused(R"({"model":{"type":"Unigram","vocab":[["a"]]}})", "no score");
  expect_refused(R"({"model":{"type":"Unigram","vocab":[[1,2]]}})", "number for a token");
  expect_refused(R"({"model":{"type":"WordPiece","max_input_chars_per_word":-1,"vocab":{"a":0}}})", "negative length");
  expect_refused(R"({"model":{"type":"Quantum","vocab":{"a":0}}})", "model type");
}

TEST(Hostile, Parts) {
  const auto with = [](const std::string& key, const std::string& value) { return bpe(kVocab, "[]", ",\"" + key + "\":" + value); };
  expect_refused(with("normalizer", "3"), "number for a normalizer");
  expect_refused(with("normalizer", R"({"type":"Magic"})"), "normalizer type");
  expect_refused(with("normalizer", R"({"type":"Replace","content":"x"})"), "no pattern");
  expect_refused(with("normalizer", R"({"type":"Precompiled","precompiled_charsmap":"!!!!"})"), "base64");
  expect_refused(with("normalizer", R"({"type":"Precompiled","precompiled_charsmap":"/////w=="})"), "size of the trie");
  std::string nested = R"({"type":"NFC"})";
  for (int i = 0; i < 25; ++i) nested = R"({"type":"Sequence","normalizers":[)" + nested + "]}";
  expect_refused(with("normalizer", nested), "nested sequences");
  expect_refused(with("pre_tokenizer", R"({"type":"Metaspace","replacement":""})"), "empty character");
  expect_refused(with("pre_tokenizer", R"({"type":"FixedLength","length":0})"), "length 0");
  expect_refused(with("pre_tokenizer", R"({"type":"Split","pattern":{"Regex":"a"},"behavior":"Eaten","invert":false})"), "behavior");
  expect_refused(with("post_processor", R"({"type":"BertProcessing","sep":["x",-1],"cls":["y",0]})"), "negative special id");
  expect_refused(with("post_processor", R"({"type":"BertProcessing","sep":["x",99],"cls":["y",0]})"), "special id outside");
  expect_refused(with("post_processor",
                      R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"X","type_id":0}}],"pair":[],"special_tokens":{}})"),
                 "unknown special token");
  expect_refused(with("post_processor",
                      R"({"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}],"pair":[],"special_tokens":{}})"),
                 "text B of one");
  expect_refused(with("decoder", R"({"type":"Strip","content":" ","start":-1,"stop":0})"), "negative strip");
  expect_refused(with("added_tokens", R"([{"id":-3,"content":"x"}])"), "negative added id");
  expect_refused(with("added_tokens", R"([{"id":2000000000,"content":"x"}])"), "huge added id");
  expect_refused(with("added_tokens", R"([{"id":1,"content":"x"}])"), "id of another token");
  expect_refused(with("added_tokens", R"([{"id":1,"content":"a"}])"), "another id for a token");
  expect_refused(with("added_tokens", R"([{"id":3,"content":")" + std::string(5000, 'x') + R"("}])"), "long added token");
  expect_refused(with("truncation", R"({"max_length":-1,"stride":0,"strategy":"LongestFirst"})"), "negative length");
}

TEST(Hostile, ReplacementsThatMultiply) {
  std::string steps;
  for (int i = 0; i < 40; ++i) steps += R"({"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaa"},)";
  steps.back() = ' ';
  const auto file = [&](const std::string& list) {
    return bpe(kVocab, "[]", R"(,"normalizer":{"type":"Sequence","normalizers":[)" + list + "]}");
  };
  const auto tokenizer = Tokenizer::from_json(file(steps), "hostile");
  EXPECT_THROW(tokenizer->encode("a"), Error);
  const std::string one = R"({"type":"Replace","pattern":{"String":"a"},"content":")" + std::string(100, 'b') + "\"}";
  EXPECT_EQ(Tokenizer::from_json(file(one), "long")->encode("aa").size(), 200U);
  EXPECT_THROW(Tokenizer::from_json(file(one), "long")->encode(std::string(10000, 'a')), Error);
}

TEST(Hostile, MillionsOfElements) {
  std::string list = "[0";
  for (int i = 0; i < 5'000'000; ++i) list += ",0";
  expect_refused(bpe(kVocab, list + "]"), "numbers for merges");
}

TEST(Hostile, RegularExpressions) {
  const auto split = [](const std::string& pattern) {
    return bpe(kVocab, "[]",
               R"(,"pre_tokenizer":{"type":"Split","pattern":{"Regex":)" + json::serialize(json::value(pattern)) +
                   R"(},"behavior":"Isolated","invert":false})");
  };
  for (const char* pattern : {"(", "[a", "\\", "a{2,1}", "\\p{NoSuchThing}", "(?<n>a)\\k<n>", "[a&&b]", "\\p{L", "(?m:.)"}) {
    expect_refused(split(pattern), pattern);
  }
  expect_refused(split(std::string(1 << 20, 'a')), "long pattern");
  expect_refused(split("(?:(?:(?:a{1000}){1000}){1000}){1000}"), "pattern that would become huge");
  expect_refused(split(std::string(5000, '(') + std::string(5000, ')')), "nested groups");
  // Exponential matching ends at a limit of steps.
  const auto tokenizer = Tokenizer::from_json(split("(a+)+$"), "hostile");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THROW(tokenizer->encode(std::string(64, 'a') + "b"), Error);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 20.0);
}

TEST(Hostile, DeepMatchesUseTheHeap) {
  std::vector<tok::Match> parts;
  tok::Regex("(?:a|b|c)*d", "test").find_all(std::string(1 << 18, 'a') + "d", parts);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_TRUE(parts[0].matched);
}

TEST(Hostile, MutatedFilesNeverCrash) {
  std::mt19937 random(5);
  for (const char* name : {"bert", "llama3", "t5", "mixed"}) {
    const std::string good = json::serialize(read_json(golden_path(std::string(name) + ".json")).at("tokenizer"));
    for (int round = 0; round < 60; ++round) {
      std::string text = good;
      for (int k = 0; k < 1 + round % 4; ++k) {
        const size_t at = random() % text.size();
        switch (random() % 4) {
          case 0: text[at] = static_cast<char>("0123456789\"{}[],:-ex"[random() % 19]); break;
          case 1: text.erase(at, 1 + random() % 20); break;
          case 2: text.insert(at, text.substr(random() % text.size(), random() % 30)); break;
          default: text.resize(std::max<size_t>(at, 1));
        }
      }
      try {
        const auto tokenizer = Tokenizer::from_json(text, "mutated");
        tokenizer->decode(tokenizer->encode("Hello, naïve 世界! 123").ids);
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace citius
