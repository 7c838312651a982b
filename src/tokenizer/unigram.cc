// Unigram: of all ways to cut the text, the one with the highest sum of scores (Viterbi over byte positions). A
// character without a token costs 10 more than the worst token; neighbouring unknown ones are one token.
#include <algorithm>
#include <array>
#include <limits>

#include "base/error.h"
#include "tokenizer/model.h"
#include "tokenizer/text.h"

namespace citius::tok {
namespace {

constexpr double kUnknownPenalty = 10.0;

class Unigram final : public Model {
 public:
  Unigram(Vocabulary vocabulary, const Tables& tables, std::optional<int32_t> unk_id, bool byte_fallback, std::string_view where)
      : Model(std::move(vocabulary)),
        scores_(tables.get<double>("scores", where)),
        unk_id_(unk_id),
        byte_fallback_(byte_fallback),
        trie_(tables, vocabulary_.size(), where) {
    if (scores_.size() != vocabulary_.size()) fail_input(where, "got {} scores for {} tokens", scores_.size(), vocabulary_.size());
    if (unk_id && !vocabulary_.has_id(*unk_id)) fail_input(where, "unk_id is {}, expected less than {}", *unk_id, vocabulary_.size());
    double lowest = std::numeric_limits<double>::infinity();
    for (const double score : scores_) lowest = std::min(lowest, score);
    unk_score_ = lowest - kUnknownPenalty;
    for (unsigned byte = 0; byte < 256; ++byte) byte_ids_[byte] = vocabulary_.find(fmt::format("<0x{:02X}>", byte)).value_or(-1);
  }

  void tokenize(std::string_view word, std::vector<Token>& out) const override {
    const std::vector<Step> steps = best_path(word);
    // The path is read backwards; neighbouring unknown characters become one piece.
    std::vector<Token> path;
    for (auto end = static_cast<uint32_t>(word.size()); end > 0;) {
      const Step& step = steps[end];
      if (step.id == unk_id_ && !path.empty() && path.back().id == unk_id_) {
        path.back().begin = step.begin;
      } else {
        path.push_back({step.id, step.begin, end});
      }
      end = step.begin;
    }
    for (auto token = path.rbegin(); token != path.rend(); ++token) put(word, *token, out);
  }

 private:
  struct Step {
    double score = 0;
    uint32_t begin = kUnreached;
    int32_t id = 0;
  };
  static constexpr uint32_t kUnreached = std::numeric_limits<uint32_t>::max();

  static void relax(Step& target, double score, size_t begin, int32_t id) {
    if (target.begin == kUnreached || score > target.score) target = {score, static_cast<uint32_t>(begin), id};
  }

  std::vector<Step> best_path(std::string_view word) const {
    std::vector<Step> steps(word.size() + 1);
    for (size_t begin = 0; begin < word.size();) {
      const double here = steps[begin].score;
      const auto char_bytes = static_cast<size_t>(utf8_length(word[begin]));
      bool has_single = false;
      uint32_t node = Trie::kRoot;
      for (size_t end = begin; end < word.size();) {
        node = trie_.step(node, word[end]);
        if (node == Trie::kRoot) break;
        ++end;
        const int32_t id = trie_.value(node);
        if (id == Trie::kNone) continue;
        relax(steps[end], scores_[static_cast<size_t>(id)] + here, begin, id);
        has_single |= end - begin == char_bytes;
      }
      if (!has_single) {
        if (!unk_id_) fail_input("tokenizer", "a character of '{}' has no token and the vocabulary no unknown token", word);
        relax(steps[begin + char_bytes], unk_score_ + here, begin, *unk_id_);
      }
      begin += char_bytes;
    }
    return steps;
  }

  void put(std::string_view word, Token token, std::vector<Token>& out) const {
    if (token.id == unk_id_) {
      const std::string_view piece = word.substr(token.begin, token.end - token.begin);
      if (const auto id = vocabulary_.find(piece)) {  // unknown characters that together happen to be a token
        token.id = *id;
      } else if (byte_fallback_) {
        const auto id_of = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
        if (std::all_of(piece.begin(), piece.end(), [&](char byte) { return id_of(byte) >= 0; })) {
          for (const char byte : piece) out.push_back({id_of(byte), token.begin, token.end});
          return;
        }
      }
    }
    out.push_back(token);
  }

  Table<double> scores_;
  std::optional<int32_t> unk_id_;
  bool byte_fallback_;
  double unk_score_ = 0;
  Trie trie_;
  std::array<int32_t, 256> byte_ids_{};
};

}  // namespace

Tables compile_unigram(const Vocabulary& vocabulary, std::vector<double> scores) {
  Tables tables = compile_wordpiece(vocabulary);
  tables.add("scores", Table(std::move(scores)));
  return tables;
}

std::unique_ptr<Model> make_unigram(Vocabulary vocabulary, const Tables& tables, std::optional<int32_t> unk_id, bool byte_fallback,
                                    std::string_view where) {
  return std::make_unique<Unigram>(std::move(vocabulary), tables, unk_id, byte_fallback, where);
}

}  // namespace citius::tok
