// Models: what cuts a word into tokens of the vocabulary. One class a file: bpe.cc, wordpiece.cc, unigram.cc, spm.cc. What takes long is
// compiled to tables, and a model is made of tables, just compiled or kept by an earlier start.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/vocabulary.h"

namespace citius::tok {

/// A token of a word: bytes [begin, end) of it.
struct Token {
  int32_t id = 0;
  uint32_t begin = 0;
  uint32_t end = 0;
};

class Model {
 public:
  explicit Model(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {}
  virtual ~Model() = default;
  /// Appends the tokens of `word` (valid UTF-8, not empty). Time is linear in its length but for a logarithm.
  virtual void tokenize(std::string_view word, std::vector<Token>& out) const = 0;
  const Vocabulary& vocabulary() const { return vocabulary_; }
  /// Whether tokens that continue a word begin with a prefix of their own ("##").
  virtual bool marks_subwords() const { return false; }

 protected:
  Vocabulary vocabulary_;
};

struct BpeOptions {
  std::optional<std::string> unk_token;
  std::string continuing_subword_prefix;
  std::string end_of_word_suffix;
  bool fuse_unk = false;
  bool byte_fallback = false;
  bool ignore_merges = false;  // a word that is in the vocabulary is one token
};
/// The two parts of every merge in the order of their ranks. The strings live where they were read.
using MergeList = std::vector<std::pair<std::string_view, std::string_view>>;

/// Throws Error{kInput} where the vocabulary lacks a part of a merge or what it makes. `prefix`: BpeOptions::continuing_subword_prefix.
Tables compile_bpe(const Vocabulary& vocabulary, const MergeList& merges, const std::string& prefix, std::string_view where);
std::unique_ptr<Model> make_bpe(Vocabulary vocabulary, const Tables& tables, BpeOptions options, std::string_view where);

Tables compile_wordpiece(const Vocabulary& vocabulary);
std::unique_ptr<Model> make_wordpiece(Vocabulary vocabulary, const Tables& tables, std::string_view unk_token, std::string_view prefix,
                                      size_t max_chars, std::string_view where);

Tables compile_wordlevel(const Vocabulary& vocabulary);
std::unique_ptr<Model> make_wordlevel(Vocabulary vocabulary, std::string_view unk_token);

/// `scores`: natural logarithm of the probability of token i.
Tables compile_unigram(const Vocabulary& vocabulary, std::vector<double> scores);
std::unique_ptr<Model> make_unigram(Vocabulary vocabulary, const Tables& tables, std::optional<int32_t> unk_id, bool byte_fallback,
                                    std::string_view where);

/// SentencePiece BPE of GGUF files: neighbours merge in the order of the score of what they make.
Tables compile_spm(const Vocabulary& vocabulary, std::vector<float> scores);
std::unique_ptr<Model> make_spm(Vocabulary vocabulary, const Tables& tables, int32_t unk_id, std::string_view where);

}  // namespace citius::tok
