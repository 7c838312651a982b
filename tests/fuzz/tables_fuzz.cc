// The tables of a compiled tokenizer, as the file in which an earlier start kept them: the first byte chooses the tokenizer that is
// opened with them, the others are the file. Whatever opens encodes and decodes. Inputs are made here, of tables just compiled: bytes that
// know nothing of such a file are hardly ever one.
#include <algorithm>
#include <cstring>
#include <random>

#include "base/check.h"
#include "base/file.h"
#include "base/json.h"
#include "fuzz_files.h"
#include "io/sealed_file.h"
#include "tokenizer/tokenizer.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace citius {
namespace {

constexpr const char* kText =
    "The people of \xE4\xB8\x96 12, na\xC3\xAFve <s> caf\xC3\xA9\n\n  x \xFF [MASK] aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

TokenizerSource json_source(const std::string& model) {
  const std::filesystem::path directory = memory_directory("tables-fuzz-" + std::to_string(std::hash<std::string>()(model)));
  put_file(directory / "tokenizer.json", R"({"added_tokens":[{"id":3,"content":"<s>","special":true,"rstrip":true}],
    "normalizer":{"type":"NFC"},"pre_tokenizer":{"type":"Whitespace"},"decoder":{"type":"WordPiece"},"model":)" +
                                             model + "}");
  return Tokenizer::source(directory);
}

TokenizerSource words_source() {
  const std::filesystem::path directory = memory_directory("tables-fuzz-vocab-txt");
  put_file(directory / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\npeople\npe\n##op\n##le\nx\n");
  return Tokenizer::source(directory);
}

TokenizerSource pairs_source() {
  const std::filesystem::path directory = memory_directory("tables-fuzz-vocab-json");
  put_file(directory / "vocab.json", R"({"a":0,"e":1,"aa":2,"<s>":3,"</s>":4,"\u0120":5,"p":6,"pe":7})");
  put_file(directory / "merges.txt", "a a\np e\n");
  put_file(directory / "tokenizer_config.json", R"({"tokenizer_class":"RobertaTokenizer"})");
  return Tokenizer::source(directory);
}

TokenizerSource gguf_source(const char* model) {
  GgufVocab vocab;
  vocab.model = model;
  if (vocab.model == "gpt2") vocab.pre = "llama-bpe";
  vocab.tokens = {"<unk>", "<s>", "</s>", "<0x0A>", "\xE2\x96\x81", "e", "p", "pe", "\xE2\x96\x81pe", "a", "aa", "[MASK]"};
  vocab.types = {2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1, 4};
  for (size_t id = 0; id < vocab.tokens.size(); ++id) vocab.scores.push_back(-static_cast<float>(id));
  vocab.merges = {"p e", "a a"};
  vocab.unk_id = 0;
  vocab.bos_id = vocab.cls_id = 1;
  vocab.eos_id = vocab.sep_id = 2;
  return {{}, [=] { return Tokenizer::compile(vocab); }, [=](const Tables& tables) { return Tokenizer::from_gguf(vocab, tables); }};
}

const std::vector<TokenizerSource>& sources() {
  static const std::vector<TokenizerSource> all = {
      json_source(R"({"type":"BPE","vocab":{"a":0,"p":1,"aa":2,"<s>":3,"e":4,"pe":5},"merges":["a a","p e"],"unk_token":"a"})"),
      json_source(R"({"type":"WordPiece","vocab":{"[UNK]":0,"pe":1,"##o":2,"<s>":3,"a":4,"##a":5},"unk_token":"[UNK]"})"),
      json_source(R"({"type":"Unigram","vocab":[["<unk>",0],["pe",-1],["a",-2],["<s>",-9],["aa",-3]],"unk_id":0})"),
      json_source(R"({"type":"WordLevel","vocab":{"<unk>":0,"The":1,"x":2,"<s>":3},"unk_token":"<unk>"})"),
      words_source(),
      pairs_source(),
      gguf_source("llama"),
      gguf_source("gpt2"),
      gguf_source("bert"),
      gguf_source("t5"),
  };
  return all;
}

// Each table in memory of its own, where a sanitizer sees what reads beyond it.
Tables tables_of(const SafetensorsFile& file) {
  Tables tables;
  for (const auto& [name, entry] : file.entries()) {
    tables.add({name, /*alignment=*/1, Table(std::vector<std::byte>(entry.bytes.begin(), entry.bytes.end()))});
  }
  return tables;
}

void use(const Tokenizer& tokenizer) {
  const auto check_text = [&](std::string_view text) {
    const Encoding encoding = tokenizer.encode(text);
    for (const TextSpan& span : encoding.byte_offsets) {
      CHECK(span.begin >= 0 && span.begin <= span.end && static_cast<size_t>(span.end) <= text.size());
    }
    StreamDecoder stream(tokenizer);
    for (const int32_t id : encoding.ids) stream.push(id);
    stream.finish();
    return tokenizer.decode(encoding.ids, /*skip_special=*/false);
  };
  check_text(check_text(kText));
  const size_t count = tokenizer.vocab_size();
  for (size_t i = 0; i < count; i += 1 + count / 64) {
    const auto id = static_cast<int32_t>(i);
    (void)tokenizer.token_to_id(tokenizer.id_to_token(id));
    check_text(tokenizer.decode({&id, 1}, /*skip_special=*/false));
  }
}

std::string input_of(size_t source, const Tables& tables) {
  json::object header;
  std::string data;
  for (const Tables::Entry& entry : tables.entries()) {
    const size_t begin = data.size();
    data.append(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size());
    header[entry.name] = {{"dtype", "U8"}, {"shape", {entry.bytes.size()}}, {"data_offsets", {begin, data.size()}}};
  }
  const std::string text = json::serialize(header);
  const uint64_t size = text.size();
  return static_cast<char>(source) + std::string(reinterpret_cast<const char*>(&size), sizeof(size)) + text + data;
}

// Small numbers are ids, nodes and places in the text: most of what is written passes the checks, as random bytes seldom do.
void change(std::vector<std::byte>& bytes, std::mt19937& random) {
  const size_t size = bytes.size(), words = size / sizeof(int32_t);
  if (words > 0 && random() % 4 != 0) {
    const auto number = static_cast<int32_t>(random() % 24) - 1;
    std::memcpy(bytes.data() + random() % words * sizeof(number), &number, sizeof(number));
    return;
  }
  bytes.resize(size + 64);
  const size_t length = LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(bytes.data()), size, bytes.size());
  bytes.resize(random() % 4 == 0 ? length : size);  // an array of larger things has no other size
}

// The tables of an input, or where it has none or the dice say so whole ones, with one of them changed.
std::string changed_input(const uint8_t* data, size_t size, std::mt19937& random) {
  size_t source = random() % sources().size();
  Tables tables;
  try {
    if (size >= 2 && random() % 4 != 0) {
      tables = tables_of(SafetensorsFile(MemoryFile(data + 1, size - 1).path()));
      source = data[0];
    }
  } catch (const Error&) {
  }
  if (tables.entries().empty()) tables = sources()[source % sources().size()].compile();
  const size_t chosen = random() % tables.entries().size();
  Tables changed;
  for (size_t i = 0; i < tables.entries().size(); ++i) {
    const Tables::Entry& entry = tables.entries()[i];
    std::vector<std::byte> bytes(entry.bytes.begin(), entry.bytes.end());
    if (i == chosen) change(bytes, random);
    changed.add({entry.name, entry.alignment, Table(std::move(bytes))});
  }
  return input_of(source, changed);
}

}  // namespace
}  // namespace citius

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  std::mt19937 random(seed);
  if (random() % 64 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::string made = citius::changed_input(data, size, random);
  if (made.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, made.data(), made.size());
  return made.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace citius;
  static const std::filesystem::path path = memory_directory("tables-fuzz") / "tables.safetensors";
  if (size < 2) return 0;
  put_file(path, {reinterpret_cast<const char*>(data) + 1, size - 1});
  put_file(path.string() + kSealEnding, identify(path)->text());
  const auto file = open_sealed(path, "the tokenizer is compiled again");
  if (file == nullptr) return 0;
  try {
    use(*sources()[data[0] % sources().size()].open(tables_of(*file)));
  } catch (const Error&) {
  }
  return 0;
}
