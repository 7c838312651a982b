// Tables that an earlier start kept: the same tokens from them as from those just compiled, and nothing but an error or other tokens
// from damaged ones.
#include "tokenizer/tables.h"

#include <cstring>
#include <functional>
#include <random>

#include "base/error.h"
#include "io/temp_dir.h"
#include "tokenizer/support.h"

namespace citius {
namespace {

constexpr const char* kFamilies[] = {"bert", "gpt2", "llama", "mixed", "t5", "tekken", "unigram_bytes", "gguf"};
constexpr const char* kText = "The people of 世界 12345, naïve <s> café\n\n  x";

TokenizerSource gguf_source() {
  GgufVocab vocab;
  vocab.model = "llama";
  vocab.tokens = {"<unk>", "<s>", "</s>", "<0x0A>", "\u2581", "e", "p", "le", "\u2581p", "o", "eo", "l", "世", "\u2581the"};
  vocab.types = {2, 3, 3, 6, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  for (size_t id = 0; id < vocab.tokens.size(); ++id) vocab.scores.push_back(-static_cast<float>(id));
  return {{}, [=] { return Tokenizer::compile(vocab); }, [=](const Tables& tables) { return Tokenizer::from_gguf(vocab, tables); }};
}

/// A tokenizer with its tables.
struct Family {
  explicit Family(const std::string& name) {
    if (name == "gguf") {
      source = gguf_source();
    } else {
      dir.write("tokenizer.json", json::serialize(read_json(golden_path(name + ".json")).at("tokenizer")));
      source = Tokenizer::source(dir.path());
    }
    tables = source.compile();
  }
  TempDir dir;
  TokenizerSource source;
  Tables tables;
};

/// As a file holds them: one table after the other, changed by `change` before.
Tables copy_of(const Tables& tables, const std::function<void(const std::string& name, std::string& bytes)>& change = {}) {
  std::vector<std::pair<std::string, std::string>> parts;
  size_t size = 0;
  for (const Tables::Entry& entry : tables.entries()) {
    std::string bytes(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size());
    if (change) change(entry.name, bytes);
    size += bytes.size();
    parts.emplace_back(entry.name, std::move(bytes));
  }
  const auto file = std::make_shared<std::vector<std::byte>>(size);  // no slack: a sanitizer sees what reads beyond
  Tables copy;
  size_t at = 0;
  for (const auto& [name, bytes] : parts) {
    if (!bytes.empty()) std::memcpy(file->data() + at, bytes.data(), bytes.size());
    copy.add({name, 1, {std::span<const std::byte>(*file).subspan(at, bytes.size()), file}});
    at += bytes.size();
  }
  return copy;
}

TEST(Tables, GiveTheSameTokensWhereverTheyLie) {
  for (const char* name : kFamilies) {
    const Family family(name);
    const auto compiled = family.source.open(family.tables), kept = family.source.open(copy_of(family.tables));
    const Encoding want = compiled->encode(kText), got = kept->encode(kText);
    EXPECT_EQ(line_of(got, kept->decode(got.ids)), line_of(want, compiled->decode(want.ids))) << name;
    EXPECT_EQ(kept->vocab_size(), compiled->vocab_size()) << name;
    for (int32_t id = 0; id < static_cast<int32_t>(kept->vocab_size()); ++id) {
      const std::string_view token = compiled->id_to_token(id);
      ASSERT_EQ(kept->id_to_token(id), token) << name;
      ASSERT_EQ(kept->token_to_id(token), compiled->token_to_id(token)) << name;
    }
  }
}

TEST(Tables, LiveAsLongAsTheTokenizer) {
  std::unique_ptr<Tokenizer> tokenizer;
  {
    const Family family("gpt2");
    tokenizer = family.source.open(copy_of(family.tables));
  }
  EXPECT_EQ(tokenizer->decode(tokenizer->encode_ids("the people")), "the people");
}

TEST(Tables, AreAlignedOneAfterTheOther) {
  Tables tables;
  tables.add("bytes", Table(std::vector<char>(3)));
  tables.add("words", Table(std::vector<uint64_t>{1, 2}));
  tables.add("numbers", Table(std::vector<int32_t>{7}));
  const Tables copy = copy_of(tables);
  EXPECT_EQ(copy.get<int32_t>("numbers", "here")[0], 7);
  EXPECT_EQ(copy.get<uint64_t>("words", "here")[1], 2u);
  EXPECT_THROW(copy.get<uint64_t>("numbers", "here"), Error);
  EXPECT_THROW(copy.get<char>("none", "here"), Error);
}

/// Opens what may be damaged, and uses what opens.
void attempt(const TokenizerSource& source, const Tables& tables) {
  try {
    const auto tokenizer = source.open(tables);
    const Encoding encoding = tokenizer->encode(kText);
    (void)decode_streaming(*tokenizer, encoding.ids, false);
    for (int32_t id = 0; id < static_cast<int32_t>(tokenizer->vocab_size()); id += 7) {
      (void)tokenizer->token_to_id(tokenizer->id_to_token(id));
      (void)tokenizer->decode({&id, 1});
    }
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
  }
}

TEST(Tables, OneThatIsMissingOrCutIsAnError) {
  for (const char* name : kFamilies) {
    const Family family(name);
    for (const Tables::Entry& entry : family.tables.entries()) {
      if (entry.bytes.empty()) continue;
      Tables fewer;
      for (const Tables::Entry& other : family.tables.entries()) {
        if (other.name != entry.name) fewer.add(other);
      }
      EXPECT_THROW(family.source.open(fewer), Error) << name << " " << entry.name;
      for (const size_t bytes : {size_t{0}, entry.bytes.size() / 2, entry.bytes.size() - 1}) {
        const auto cut = [&](const std::string& table, std::string& text) {
          if (table == entry.name) text.resize(bytes);
        };
        attempt(family.source, copy_of(family.tables, cut));
      }
    }
  }
}

TEST(Tables, DamagedOnesReadNothingThatIsNotTheirs) {
  std::mt19937 random(1);
  for (const char* name : kFamilies) {
    const Family family(name);
    for (const Tables::Entry& entry : family.tables.entries()) {
      if (entry.bytes.empty()) continue;
      for (int round = 0; round < 40; ++round) {
        const auto damage = [&](const std::string& table, std::string& text) {
          if (table != entry.name) return;
          const char fill[] = {'\0', '\xFF', '\x7F', static_cast<char>(random())};
          const size_t run = size_t{1} << random() % 6, at = random() % text.size();
          std::memset(text.data() + at, fill[random() % 4], std::min(run, text.size() - at));
        };
        attempt(family.source, copy_of(family.tables, damage));
      }
      // No free slot would make a search endless.
      const auto full = [&](const std::string& table, std::string& text) {
        if (table == entry.name) std::memset(text.data(), 1, text.size());
      };
      attempt(family.source, copy_of(family.tables, full));
    }
  }
}

}  // namespace
}  // namespace citius
