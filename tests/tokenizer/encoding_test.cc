// What the goldens do not show: invalid UTF-8, byte offsets, words given one by one, streaming, limits of truncation,
// long inputs, reading of directories, and tokens of GGUF files.
#include <chrono>

#include "base/error.h"
#include "io/temp_dir.h"
#include "tokenizer/support.h"

namespace citius {
namespace {

std::unique_ptr<Tokenizer> family(const std::string& name) {
  const json::value golden = read_json(golden_path(name + ".json"));
  return Tokenizer::from_json(json::serialize(golden.at("tokenizer")), name);
}

EncodeOptions plain() {
  EncodeOptions options;
  options.add_special_tokens = false;
  return options;
}

TEST(InvalidUtf8, IsReplacedOncePerMaximalPart) {
  const auto tokenizer = family("gpt2");
  const struct {
    std::string given, meant;
  } cases[] = {
      {"a\xFFz", "a\uFFFDz"},  // never a byte of UTF-8
      {"\xC3", "\uFFFD"},      // cut off
      {"\xE4\xB8", "\uFFFD"},  // cut off after two of three bytes: one part
      {"\xE4\xB8 x", "\uFFFD x"},
      {"\xF0\x9F\x98", "\uFFFD"},
      {"\xC0\x80", "\uFFFD\uFFFD"},                      // overlong
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},            // a surrogate
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},  // above U+10FFFF
      {"\x80\x80", "\uFFFD\uFFFD"},                      // continuations alone
  };
  for (const auto& [given, meant] : cases) {
    const Encoding encoding = tokenizer->encode(given, plain());
    EXPECT_EQ(encoding.ids, tokenizer->encode(meant, plain()).ids) << meant;
    EXPECT_EQ(encoding.offsets, tokenizer->encode(meant, plain()).offsets) << meant;
    EXPECT_EQ(encoding.byte_offsets.front().begin, 0);
    EXPECT_EQ(encoding.byte_offsets.back().end, static_cast<int32_t>(given.size()));
  }
}

TEST(Offsets, BytesAndCharactersNameTheSameText) {
  for (const char* name : {"bert", "roberta", "llama", "xlmr", "albert"}) {
    const auto tokenizer = family(name);
    const std::string text = "naïve 世界 — ﬁnance 👩‍👩‍👧 e\u0301 x\xFFy\xE4\xB8";
    const Encoding encoding = tokenizer->encode(text);
    ASSERT_EQ(encoding.byte_offsets.size(), encoding.size());
    // Characters of the text as given. The ill-formed parts here are FF and E4 B8, one character each.
    std::vector<int32_t> begins;
    for (size_t i = 0; i < text.size(); ++i) {
      if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) begins.push_back(static_cast<int32_t>(i));
    }
    begins.push_back(static_cast<int32_t>(text.size()));
    for (size_t i = 0; i < encoding.size(); ++i) {
      if (encoding.sequence_ids[i] < 0) {
        EXPECT_EQ(encoding.byte_offsets[i], (TextSpan{0, 0}));
        continue;
      }
      EXPECT_EQ(encoding.byte_offsets[i].begin, begins[static_cast<size_t>(encoding.offsets[i].begin)]) << name << " " << i;
      EXPECT_EQ(encoding.byte_offsets[i].end, begins[static_cast<size_t>(encoding.offsets[i].end)]) << name << " " << i;
    }
  }
}

TEST(Words, OffsetsCountWithinEachWord) {
  const auto tokenizer = family("bert");
  const std::vector<std::string> words = {"naïve", "", "世界x", "the"};
  const Encoding encoding = tokenizer->encode_words(words);
  EXPECT_EQ(encoding.ids.front(), tokenizer->special().cls);
  EXPECT_EQ(encoding.ids.back(), tokenizer->special().sep);
  EXPECT_EQ(encoding.word_ids.front(), -1);
  std::vector<int32_t> joined;
  for (size_t w = 0; w < words.size(); ++w) {
    const Encoding alone = tokenizer->encode(words[w], plain());
    for (size_t i = 0; i < alone.size(); ++i) {
      const size_t at = 1 + joined.size();
      EXPECT_EQ(encoding.ids[at], alone.ids[i]);
      EXPECT_EQ(encoding.word_ids[at], static_cast<int32_t>(w));
      EXPECT_EQ(encoding.offsets[at], alone.offsets[i]);
      EXPECT_EQ(encoding.byte_offsets[at], alone.byte_offsets[i]);
      joined.push_back(alone.ids[i]);
    }
  }
  EXPECT_EQ(encoding.size(), joined.size() + 2);
}

TEST(Truncation, ImpossibleRequestsAreErrors) {
  const auto tokenizer = family("bert");
  EncodeOptions options;
  options.truncation = Truncation{.max_length = 2, .stride = 0};
  EXPECT_EQ(tokenizer->encode("the city", options).size(), 2u);
  options.truncation = Truncation{.max_length = 1};
  EXPECT_THROW(tokenizer->encode("the city", options), Error);
  options.truncation = Truncation{.max_length = 4, .stride = 2};
  EXPECT_THROW(tokenizer->encode("the city of the people", options), Error);
  options.truncation = Truncation{.max_length = 4, .stride = 0, .strategy = TruncationStrategy::kOnlySecond};
  EXPECT_THROW(tokenizer->encode("the city of the people", options), Error);
  EXPECT_THROW(tokenizer->encode_pair("the city of the people and of the city", "of", options), Error);
}

TEST(Stream, GivesWholeCharactersAndNeverTakesBack) {
  const std::string text = "Hello 世界 👩‍👩‍👧 naïve\n\n  x";
  for (const char* name : {"gpt2", "qwen2", "llama", "mistral", "bert", "t5"}) {
    const auto tokenizer = family(name);
    const Encoding encoding = tokenizer->encode(text);
    StreamDecoder stream(*tokenizer);
    std::string given;
    for (const int32_t id : encoding.ids) {
      const std::string part = stream.push(id);
      EXPECT_EQ(part.find("\uFFFD"), std::string::npos) << name;
      given += part;
    }
    given += stream.finish();
    EXPECT_EQ(given, tokenizer->decode(encoding.ids)) << name;
    if (std::string(name) == "gpt2" || std::string(name) == "qwen2" || std::string(name) == "llama") {
      EXPECT_EQ(given, text);
    }
  }
}

TEST(Stream, BrokenBytesBecomeReplacementCharacters) {
  const auto tokenizer = family("gpt2");
  const Encoding encoding = tokenizer->encode("é世", plain());
  std::vector<int32_t> broken(encoding.ids.begin(), encoding.ids.end() - 1);  // the last byte is missing
  const std::string whole = tokenizer->decode(broken);
  EXPECT_TRUE(whole.ends_with("\uFFFD"));
  EXPECT_EQ(whole, decode_streaming(*tokenizer, broken, true));
}

TEST(Ids, OutsideTheVocabularyAreErrors) {
  const auto tokenizer = family("gpt2");
  const auto size = static_cast<int32_t>(tokenizer->vocab_size());
  EXPECT_THROW(tokenizer->id_to_token(size), Error);
  EXPECT_THROW(tokenizer->id_to_token(-1), Error);
  EXPECT_THROW(tokenizer->decode(std::vector<int32_t>{size}), Error);
  EXPECT_THROW(StreamDecoder(*tokenizer).push(-5), Error);
  EXPECT_EQ(tokenizer->token_to_id("<|endoftext|>"), 0);
  EXPECT_TRUE(tokenizer->is_special(0));
  EXPECT_EQ(tokenizer->token_to_id("no such token"), std::nullopt);
}

TEST(Ids, ThoseOfAPaddedEmbeddingHaveNoText) {
  for (const char* name : {"gpt2", "bert", "t5", "llama"}) {
    const auto tokenizer = family(name);
    const auto size = static_cast<int32_t>(tokenizer->vocab_size());
    std::vector<int32_t> ids = tokenizer->encode_ids("the people", /*add_special_tokens=*/false);
    const std::string text = tokenizer->decode(ids);
    tokenizer->accept_ids(static_cast<size_t>(size) + 2);
    ids.insert(ids.begin() + 1, size);
    ids.push_back(size + 1);
    EXPECT_EQ(tokenizer->decode(ids), text) << name;
    EXPECT_EQ(decode_streaming(*tokenizer, ids, true), text) << name;
    EXPECT_EQ(tokenizer->id_to_token(size), "");
    EXPECT_FALSE(tokenizer->is_special(size + 1));
    EXPECT_THROW(tokenizer->decode(std::vector<int32_t>{size + 2}), Error);
    EXPECT_EQ(tokenizer->vocab_size(), static_cast<size_t>(size));
  }
}

std::string repeated(std::string_view part, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += part;
  return text;
}

/// The merges of SentencePiece's BPE, which only GGUF files bring.
std::unique_ptr<Tokenizer> spm() {
  GgufVocab vocab;
  vocab.model = "llama";
  vocab.tokens = {"<unk>", "<s>", "</s>"};
  vocab.types = {2, 3, 3};
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    vocab.tokens.emplace_back(name);
    vocab.types.push_back(6);
  }
  for (const char* token :
       {"\u2581", "a", "aa", "aaaa", "aaaaaaaa", "\u2581\u2581", "\u2581\u2581\u2581\u2581", "\u2581a", "\n\n", "x", "1", "x1"}) {
    vocab.tokens.emplace_back(token);
    vocab.types.push_back(1);
  }
  for (size_t id = 0; id < vocab.tokens.size(); ++id) vocab.scores.push_back(-static_cast<float>(id));
  return Tokenizer::from_gguf(vocab);
}

// Time grows with n log n: the limit is far above what any machine needs, and far below what a quadratic step takes.
TEST(LongInput, NothingStalls) {
  for (const char* name : {"bert", "gpt2", "qwen2", "tekken", "llama", "t5", "albert", "mixed", "spm"}) {
    const auto tokenizer = std::string_view(name) == "spm" ? spm() : family(name);
    for (const std::string_view part : {"a", " ", "\n", "世", "a\u0301\u0323", "\u0301", "x1.", "👩\u200d"}) {
      const std::string text = repeated(part, part == "a" ? 1 << 20 : 1 << 17);
      const auto start = std::chrono::steady_clock::now();
      const Encoding encoding = tokenizer->encode(text);
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      EXPECT_LT(seconds, 60.0) << name << " on " << part;
      if (encoding.ids.empty()) continue;
      EXPECT_LE(encoding.byte_offsets.back().end, static_cast<int32_t>(text.size()));
    }
  }
}

// The ids are those of transformers 5.24 for these files.
TEST(VocabularyFiles, TheClassOrTheModelTellsTheFamily) {
  const TempDir dir;
  dir.write("vocab.json", R"({"<s>":0,"<pad>":1,"</s>":2,"<unk>":3,"<mask>":4,"a":5,"b":6,"ab":7,"Ġ":8,"<|endoftext|>":9,"Ġab":10})");
  dir.write("merges.txt", "#version: 0.2\na b\nĠ ab\n");
  using Ids = std::vector<int32_t>;
  const struct {
    const char *config, *model;
    Ids single, pair;
  } cases[] = {
      {R"({"tokenizer_class": "GPT2Tokenizer"})", "{}", {7, 10}, {7, 7}},
      {R"({"tokenizer_class": "GPT2TokenizerFast", "add_bos_token": true})", "{}", {9, 7, 10}, {9, 7, 9, 7}},
      {R"({"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true, "bos_token": "<s>"})", "{}", {0, 7, 10}, {0, 7, 0, 7}},
      {R"({"tokenizer_class": "RobertaTokenizerFast"})", R"({"model_type": "gpt2"})", {0, 7, 10, 2}, {0, 7, 2, 2, 7, 2}},
      {"{}", R"({"model_type": "roberta"})", {0, 7, 10, 2}, {0, 7, 2, 2, 7, 2}},
      {"{}", R"({"model_type": "gpt2"})", {7, 10}, {7, 7}},
  };
  for (const auto& [config, model, single, pair] : cases) {
    SCOPED_TRACE(std::string(config) + " " + model);
    dir.write("tokenizer_config.json", config);
    dir.write("config.json", model);
    const auto tokenizer = Tokenizer::from_directory(dir.path());
    EXPECT_EQ(tokenizer->encode("ab ab").ids, single);
    EXPECT_EQ(tokenizer->encode_pair("ab", "ab").ids, pair);
  }
  for (const auto& [config, model] :
       {std::pair{R"({"tokenizer_class": "CLIPTokenizer"})", R"({"model_type": "gpt2"})"}, std::pair{"{}", R"({"model_type": "clip"})"},
        std::pair{"{}", "{}"}, std::pair{R"({"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true, "bos_token": "no"})", "{}"}}) {
    dir.write("tokenizer_config.json", config);
    dir.write("config.json", model);
    EXPECT_THROW(Tokenizer::from_directory(dir.path()), Error) << config << " " << model;
  }
}

TEST(Gguf, UnknownPreNamesTheNearest) {
  GgufVocab vocab;
  vocab.where = "model.gguf";
  vocab.model = "gpt2";
  vocab.pre = "qwen3-x";
  vocab.tokens = {"a", "b"};
  try {
    Tokenizer::from_gguf(vocab);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_NE(std::string(error.what()).find("qwen35"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("model.gguf"), std::string::npos) << error.what();
  }
}

TEST(Gguf, FlagsDecideWhatStandsAroundAText) {
  GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  vocab.tokens = {"a", "b", "ab", "<s>", "</s>", "\u0120"};
  vocab.types = {1, 1, 1, 3, 3, 1};
  vocab.merges = {"a b"};
  vocab.bos_id = 3;
  vocab.eos_id = 4;
  EXPECT_EQ(Tokenizer::from_gguf(vocab)->encode_ids("ab a"), (std::vector<int32_t>{2, 5, 0}));
  vocab.add_bos = true;
  vocab.add_eos = true;
  const auto tokenizer = Tokenizer::from_gguf(vocab);
  EXPECT_EQ(tokenizer->encode_ids("ab</s>"), (std::vector<int32_t>{3, 2, 4, 4}));
  EXPECT_EQ(tokenizer->encode_ids("ab", false), (std::vector<int32_t>{2}));
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{3, 2, 5, 0, 4}), "ab a");
  vocab.bos_id.reset();
  EXPECT_THROW(Tokenizer::from_gguf(vocab), Error);
}

TEST(Gguf, RolesOutsideTheVocabularyAreErrors) {
  GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  vocab.tokens = {"a", "b", "<s>"};
  vocab.bos_id = 2;
  vocab.pad_id = UINT32_MAX;  // how a file says that there is none
  EXPECT_EQ(Tokenizer::from_gguf(vocab)->special().pad, -1);
  vocab.eos_id = 3;
  EXPECT_THROW(Tokenizer::from_gguf(vocab), Error);
}

TEST(Gguf, T5UsesUnigramAndEndsWithEos) {
  GgufVocab vocab;
  vocab.model = "t5";
  vocab.tokens = {"<pad>", "</s>", "<unk>", "\u2581a", "\u2581", "a", "b", "ab"};
  vocab.scores = {0, 0, 0, -1, -2, -3, -4, -2};
  vocab.types = {3, 3, 2, 1, 1, 1, 1, 1};
  vocab.unk_id = 2;
  vocab.eos_id = 1;
  vocab.pad_id = 0;
  vocab.remove_extra_whitespaces = true;
  const auto tokenizer = Tokenizer::from_gguf(vocab);
  EXPECT_EQ(tokenizer->encode_ids("  a   ab "), (std::vector<int32_t>{3, 4, 7, 1}));
  EXPECT_EQ(tokenizer->encode_ids("z"), (std::vector<int32_t>{4, 2, 1}));
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{3, 4, 7, 1}), "a ab");
}

}  // namespace
}  // namespace citius
