// Published test vectors: GGUF vocabularies with the ids that llama.cpp gives, and texts encoded by the original GPT-2,
// BERT and Llama tokenizers. Skipped where the shared data is absent.
#include <unistd.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "base/error.h"
#include "tokenizer/gguf_metadata.h"
#include "tokenizer/support.h"

namespace citius {
namespace {

std::vector<std::string> split_texts(const std::string& file) {
  static constexpr std::string_view kMark = "\n__ggml_vocab_test__\n";
  std::vector<std::string> texts;
  for (size_t begin = 0; begin < file.size();) {
    const size_t end = std::min(file.find(kMark, begin), file.size());
    texts.push_back(file.substr(begin, end - begin));
    begin = end + kMark.size();
  }
  return texts;
}

std::vector<int32_t> parse_ids(const std::string& line) {
  std::istringstream stream(line);
  std::vector<int32_t> ids;
  for (int32_t id; stream >> id;) ids.push_back(id);
  return ids;
}

void expect_vectors(const Tokenizer& tokenizer, const std::string& name) {
  const std::vector<std::string> texts = split_texts(read_file(shared_path(name + ".inp"), 1 << 20));
  std::istringstream lines(read_file(shared_path(name + ".out"), 1 << 20));
  std::string line;
  size_t count = 0;
  for (; std::getline(lines, line); ++count) {
    ASSERT_LT(count, texts.size()) << name;
    EXPECT_EQ(parse_ids(line), tokenizer.encode_ids(texts[count], /*add_special_tokens=*/false))
        << name << ", text " << count << ": '" << texts[count] << "'";
  }
  EXPECT_EQ(count, texts.size());
  EXPECT_EQ(count, 46u);
}

class GgufVectors : public ::testing::TestWithParam<const char*> {};

TEST_P(GgufVectors, GiveTheIdsOfLlamaCpp) {
  const std::string name = std::string("tokenizers/gguf_vocab/ggml-vocab-") + GetParam() + ".gguf";
  if (!std::filesystem::exists(shared_path(name))) GTEST_SKIP() << "no shared data: " << shared_path(name);
  expect_vectors(*Tokenizer::from_gguf(GgufMetadata(shared_path(name)).vocab()), name);
}

INSTANTIATE_TEST_SUITE_P(All, GgufVectors,
                         ::testing::Values("bert-bge", "deepseek-coder", "falcon", "gpt-2", "llama-spm", "phi-3", "starcoder"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Vectors, Qwen2FromVocabularyFiles) {
  const auto folder = shared_path("tokenizers/qwen2");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no shared data: " << folder;
  const auto copy = std::filesystem::temp_directory_path() / ("citius_qwen2_" + std::to_string(::getpid()));
  std::filesystem::create_directories(copy);
  for (const auto& [from, to] : {std::pair{"vocab.json", "vocab.json"}, std::pair{"merges.lf.txt", "merges.txt"},
                                 std::pair{"tokenizer_config.json", "tokenizer_config.json"}}) {
    std::filesystem::copy_file(folder / from, copy / to, std::filesystem::copy_options::overwrite_existing);
  }
  const auto tokenizer = Tokenizer::from_directory(copy);
  std::filesystem::remove_all(copy);
  expect_vectors(*tokenizer, "tokenizers/gguf_vocab/ggml-vocab-qwen2.gguf");
  EXPECT_EQ(tokenizer->special().eos, 151645);
  EXPECT_EQ(tokenizer->special().bos, -1);
  EXPECT_EQ(tokenizer->encode_ids("<|im_start|>user\n"), (std::vector<int32_t>{151644, 872, 198}));
}

std::vector<int32_t> to_ids(const json::value& list) {
  std::vector<int32_t> ids;
  for (const json::value& id : list.as_array()) ids.push_back(id.to_number<int32_t>());
  return ids;
}

json::value read_vector(const std::string& file) { return read_json(shared_path("tokenizers/hf_vectors/" + file)); }

std::vector<std::string> to_strings(const json::value& list) {
  std::vector<std::string> strings;
  for (const json::value& item : list.as_array()) strings.emplace_back(item.as_string());
  return strings;
}

/// What transformers did to decoded text after the tokenizer's decoder (clean_up_tokenization_spaces).
std::string cleaned_up(std::string text) {
  for (size_t at = 0; (at = text.find(" ' ", at)) != std::string::npos; ++at) text.replace(at, 3, "'");
  return text;
}

/// Ids, tokens and, special tokens included, the decoded text. The vectors' tokens leave out those that were added.
void expect_encoding(const Tokenizer& tokenizer, const std::string& file, std::string_view decoded_prefix = "") {
  const json::value golden = read_vector(file);
  const std::string text(golden.at("text").as_string());
  const Encoding encoding = tokenizer.encode(text);
  EXPECT_EQ(to_ids(golden.at("token_ids")), encoding.ids);
  std::vector<std::string> tokens;
  for (size_t i = 0; i < encoding.size(); ++i) {
    if (encoding.special_mask[i] == 0) tokens.emplace_back(tokenizer.id_to_token(encoding.ids[i]));
    EXPECT_LE(encoding.byte_offsets[i].end, static_cast<int32_t>(text.size()));
  }
  EXPECT_EQ(to_strings(golden.at("bpe_tokens")), tokens);
  const std::string decoded(golden.at("decoded_text").as_string());
  ASSERT_TRUE(decoded.starts_with(decoded_prefix));
  EXPECT_EQ(decoded.substr(decoded_prefix.size()), cleaned_up(tokenizer.decode(encoding.ids, /*skip_special=*/!decoded_prefix.empty())));
}

TEST(Vectors, BertFromVocabTxt) {
  const auto vocab = shared_path("tokenizers/hf_vectors/bert-vocab.txt");
  if (!std::filesystem::exists(vocab)) GTEST_SKIP() << "no shared data: " << vocab;
  const auto copy = std::filesystem::temp_directory_path() / ("citius_bert_" + std::to_string(::getpid()));
  std::filesystem::create_directories(copy);
  std::filesystem::copy_file(vocab, copy / "vocab.txt", std::filesystem::copy_options::overwrite_existing);
  const auto tokenizer = Tokenizer::from_directory(copy);
  std::filesystem::remove_all(copy);
  EXPECT_EQ(tokenizer->special().cls, 101);
  EXPECT_EQ(tokenizer->special().mask, 103);
  expect_encoding(*tokenizer, "bert_uncased_encoded.json");
}

TEST(Vectors, Gpt2FromEncoderJson) {
  const auto folder = shared_path("tokenizers/gpt2");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no shared data: " << folder;
  const auto tokenizer = Tokenizer::from_directory(folder);
  expect_encoding(*tokenizer, "gpt2_encoded_tokens.json");
  expect_vectors(*tokenizer, "tokenizers/gguf_vocab/ggml-vocab-gpt-2.gguf");
  EXPECT_EQ(tokenizer->special().eos, 50256);
}

TEST(Vectors, LlamaFromGguf) {
  const auto file = shared_path("tokenizers/gguf_vocab/ggml-vocab-llama-spm.gguf");
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no shared data: " << file;
  const auto tokenizer = Tokenizer::from_gguf(GgufMetadata(file).vocab());
  expect_encoding(*tokenizer, "llama_encoded.json", "<s> ");
  const std::string text = "Mixed 世界 🦙 text\n  with  spaces";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode_ids(text)), text);
  EXPECT_EQ(decode_streaming(*tokenizer, tokenizer->encode_ids(text), true), text);
}

/// The tokens that a vector uses, numbered anew: it stands in for a vocabulary that is not there.
struct Excerpt {
  std::vector<std::string> tokens;  // of the vocabulary
  std::vector<int32_t> ids;         // the vector's, numbered anew
};

/// `before` and `after` are the tokens that the post-processor adds to the vector's own.
Excerpt excerpt_of(const json::value& golden, const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::vector<std::string> all = before;
  for (std::string& token : to_strings(golden.at("bpe_tokens"))) all.push_back(std::move(token));
  all.insert(all.end(), after.begin(), after.end());
  const std::vector<int32_t> given = to_ids(golden.at("token_ids"));
  EXPECT_EQ(all.size(), given.size());
  Excerpt excerpt;
  std::map<int32_t, int32_t> renumbered;
  for (size_t i = 0; i < std::min(all.size(), given.size()); ++i) {
    const auto [it, added] = renumbered.emplace(given[i], static_cast<int32_t>(excerpt.tokens.size()));
    if (added) excerpt.tokens.push_back(all[i]);
    EXPECT_EQ(excerpt.tokens[static_cast<size_t>(it->second)], all[i]) << "one id for two tokens";
    excerpt.ids.push_back(it->second);
  }
  return excerpt;
}

// WordPiece takes the longest match, so what the whole vocabulary gives is also given by any part of it that holds the result.
TEST(Vectors, DistilbertCasedFromItsOwnTokens) {
  const auto file = shared_path("tokenizers/hf_vectors/distilbert_cased_encoded.json");
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no shared data: " << file;
  const json::value golden = read_json(file);
  Excerpt excerpt = excerpt_of(golden, {"[CLS]"}, {"[SEP]"});
  excerpt.tokens.insert(excerpt.tokens.end(), {"[UNK]", "[PAD]", "[MASK]"});
  const auto folder = std::filesystem::temp_directory_path() / ("citius_distilbert_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::string vocab;
  for (const std::string& token : excerpt.tokens) vocab += token + "\n";
  write_file(folder / "vocab.txt", vocab);
  write_file(folder / "tokenizer_config.json", R"({"do_lower_case": false, "tokenizer_class": "DistilBertTokenizer"})");
  const auto tokenizer = Tokenizer::from_directory(folder);
  std::filesystem::remove_all(folder);
  const std::string text(golden.at("text").as_string());
  EXPECT_EQ(tokenizer->encode_ids(text), excerpt.ids);
  EXPECT_EQ(cleaned_up(tokenizer->decode(excerpt.ids, /*skip_special=*/false)), std::string(golden.at("decoded_text").as_string()));
}

// Ids and offsets are those of transformers' MPNetTokenizer with this vocabulary.
TEST(Vocabulary, MpnetFromVocabTxt) {
  const auto folder = std::filesystem::temp_directory_path() / ("citius_mpnet_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  write_file(folder / "vocab.txt", "<s>\n<pad>\n</s>\n<unk>\nhello\nworld\n##s\n!\nnew\nyork\n[UNK]\n<mask>\n");
  const auto tokenizer = Tokenizer::from_directory(folder);
  EXPECT_EQ(tokenizer->encode_ids("Hello worlds! <mask> foo"), (std::vector<int32_t>{0, 4, 5, 6, 7, 11, 10, 2}));
  EXPECT_EQ(tokenizer->encode_pair("hello", "new york").ids, (std::vector<int32_t>{0, 4, 2, 2, 8, 9, 2}));
  const Encoding encoding = tokenizer->encode("a  <mask>!");
  EXPECT_EQ(encoding.ids, (std::vector<int32_t>{0, 10, 11, 7, 2}));
  EXPECT_EQ(encoding.byte_offsets[2].begin, 3);
  EXPECT_EQ(encoding.byte_offsets[2].end, 9);
  EXPECT_EQ(tokenizer->special().mask, 11);
  write_file(folder / "vocab.txt", "[UNK]\nhello\n");
  EXPECT_THROW(Tokenizer::from_directory(folder), Error);
  std::filesystem::remove_all(folder);
}

// Without the scores there is no search to check: the pieces put together are the normalized text, which decodes as given.
TEST(Vectors, T5FromItsOwnTokens) {
  const auto file = shared_path("tokenizers/hf_vectors/t5_base_encoded.json");
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "no shared data: " << file;
  const json::value golden = read_json(file);
  const Excerpt excerpt = excerpt_of(golden, {}, {"</s>"});
  GgufVocab vocab;
  vocab.model = "t5";
  vocab.remove_extra_whitespaces = true;
  vocab.tokens = excerpt.tokens;
  vocab.scores.assign(excerpt.tokens.size(), -1);
  vocab.types.assign(excerpt.tokens.size(), 1);
  vocab.eos_id = static_cast<uint32_t>(excerpt.ids.back());
  vocab.types[*vocab.eos_id] = 3;
  vocab.unk_id = static_cast<uint32_t>(excerpt.tokens.size());
  vocab.tokens.push_back("<unk>");
  vocab.scores.push_back(0);
  vocab.types.push_back(2);
  const auto tokenizer = Tokenizer::from_gguf(vocab);
  const std::string decoded(golden.at("decoded_text").as_string());
  EXPECT_EQ(tokenizer->decode(excerpt.ids, /*skip_special=*/false), decoded);
  std::string text(golden.at("text").as_string());
  std::replace(text.begin(), text.end(), '\n', ' ');  // T5's character map is not there either
  const std::vector<int32_t> ids = tokenizer->encode_ids(text);
  EXPECT_EQ(tokenizer->decode(ids, /*skip_special=*/false), decoded);
  EXPECT_LE(ids.size(), excerpt.ids.size());  // equal scores prefer few pieces
}

TEST(Vectors, TinyTokenizerJson) {
  const auto folder = shared_path("tokenizers/hf_vectors");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no shared data: " << folder;
  // Its merges name tokens that the vocabulary lacks, which is an error and not a guess.
  EXPECT_THROW(Tokenizer::from_directory(folder), Error);
}

}  // namespace
}  // namespace citius
