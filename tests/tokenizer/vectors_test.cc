// Published test vectors: GGUF vocabularies with the ids that llama.cpp gives, and texts encoded by the original GPT-2,
// BERT and Llama tokenizers. Skipped where the shared data is absent.
#include <unistd.h>

#include <algorithm>
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
  for (; count < texts.size() && std::getline(lines, line); ++count) {
    EXPECT_EQ(parse_ids(line), tokenizer.encode_ids(texts[count], /*add_special_tokens=*/false)) << name << ", text " << count << ": '" << texts[count] << "'";
  }
  EXPECT_EQ(count, texts.size());
  EXPECT_GT(count, 40u);
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
  for (const auto& [from, to] : {std::pair{"vocab.json", "vocab.json"}, std::pair{"merges.lf.txt", "merges.txt"}, std::pair{"tokenizer_config.json", "tokenizer_config.json"}}) {
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

/// The decoded text of the transformers library: without the special tokens and the clean-up of the original file.
void expect_encoding(const Tokenizer& tokenizer, const std::string& file) {
  const json::value golden = read_json(shared_path("tokenizers/hf_vectors/" + file));
  const std::string text(golden.at("text").as_string());
  const Encoding encoding = tokenizer.encode(text);
  EXPECT_EQ(to_ids(golden.at("token_ids")), encoding.ids);
  for (size_t i = 0; i < encoding.size(); ++i) EXPECT_LE(encoding.byte_offsets[i].end, static_cast<int32_t>(text.size()));
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
  expect_encoding(*tokenizer, "llama_encoded.json");
  const std::string text = "Mixed 世界 🦙 text\n  with  spaces";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode_ids(text)), text);
  EXPECT_EQ(decode_streaming(*tokenizer, tokenizer->encode_ids(text), true), text);
}

TEST(Vectors, TinyTokenizerJson) {
  const auto folder = shared_path("tokenizers/hf_vectors");
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no shared data: " << folder;
  // Its merges name tokens that the vocabulary lacks, which is an error and not a guess.
  EXPECT_THROW(Tokenizer::from_directory(folder), Error);
}

}  // namespace
}  // namespace citius
