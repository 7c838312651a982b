// WordPiece: the longest token that the rest of the word starts with, over and over; a word with a rest that no token
// starts is unknown as a whole. WordLevel: the word is a token or unknown.
#include "base/error.h"
#include "tokenizer/model.h"
#include "tokenizer/text.h"

namespace citius::tok {
namespace {

class WordPiece final : public Model {
 public:
  WordPiece(Vocabulary vocabulary, const Tables& tables, std::string_view unk_token, std::string_view prefix, size_t max_chars,
            std::string_view where)
      : Model(std::move(vocabulary)),
        unk_id_(vocabulary_.find(unk_token).value_or(-1)),
        max_chars_(max_chars),
        trie_(tables, vocabulary_.size(), where) {
    continuation_ = prefix.empty() ? Trie::kRoot : trie_.walk(Trie::kRoot, prefix);
    has_continuations_ = prefix.empty() || continuation_ != Trie::kRoot;
    marks_subwords_ = !prefix.empty();
  }

  bool marks_subwords() const override { return marks_subwords_; }

  void tokenize(std::string_view word, std::vector<Token>& out) const override {
    const size_t before = out.size();
    const auto size = static_cast<uint32_t>(word.size());
    bool known = word.size() <= max_chars_ || count_chars(word) <= max_chars_;
    for (uint32_t begin = 0; known && begin < size;) {
      std::pair<int32_t, size_t> found{Trie::kNone, 0};
      if (begin == 0) {
        found = trie_.longest(Trie::kRoot, word);
      } else if (has_continuations_) {
        found = trie_.longest(continuation_, word.substr(begin));
      }
      known = found.first != Trie::kNone;
      const auto end = begin + static_cast<uint32_t>(found.second);
      if (known) out.push_back({found.first, begin, end});
      begin = end;
    }
    if (known) return;
    out.resize(before);
    if (unk_id_ < 0) fail_input("tokenizer", "word '{}' has no tokens and the vocabulary no unknown token", word);
    out.push_back({unk_id_, 0, size});
  }

 private:
  int32_t unk_id_;
  size_t max_chars_;
  Trie trie_;
  bool marks_subwords_ = false;
  uint32_t continuation_ = Trie::kRoot;  // where the prefix of continuing pieces leads
  bool has_continuations_ = false;
};

class WordLevel final : public Model {
 public:
  WordLevel(Vocabulary vocabulary, std::string_view unk_token)
      : Model(std::move(vocabulary)), unk_id_(vocabulary_.find(unk_token).value_or(-1)) {}

  void tokenize(std::string_view word, std::vector<Token>& out) const override {
    const int32_t id = vocabulary_.find(word).value_or(unk_id_);
    if (id < 0) fail_input("tokenizer", "word '{}' is not in the vocabulary, which has no unknown token", word);
    out.push_back({id, 0, static_cast<uint32_t>(word.size())});
  }

 private:
  int32_t unk_id_;
};

}  // namespace

Tables compile_wordpiece(const Vocabulary& vocabulary) {
  std::vector<Trie::Entry> entries;
  entries.reserve(vocabulary.size());
  for (size_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.has_id(static_cast<int64_t>(id))) {
      entries.emplace_back(vocabulary.token(static_cast<int32_t>(id)), static_cast<int32_t>(id));
    }
  }
  Tables tables = compile_wordlevel(vocabulary);
  Trie(std::move(entries)).add_to(tables);
  return tables;
}

std::unique_ptr<Model> make_wordpiece(Vocabulary vocabulary, const Tables& tables, std::string_view unk_token, std::string_view prefix,
                                      size_t max_chars, std::string_view where) {
  return std::make_unique<WordPiece>(std::move(vocabulary), tables, unk_token, prefix, max_chars, where);
}

Tables compile_wordlevel(const Vocabulary& vocabulary) {
  Tables tables;
  vocabulary.add_to(tables);
  return tables;
}

std::unique_ptr<Model> make_wordlevel(Vocabulary vocabulary, std::string_view unk_token) {
  return std::make_unique<WordLevel>(std::move(vocabulary), unk_token);
}

}  // namespace citius::tok
