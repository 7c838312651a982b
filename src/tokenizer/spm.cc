// SentencePiece BPE as GGUF files carry it: no list of merges; two neighbours may merge where their text is a token, the
// best score first, then the leftmost. A character that is no token becomes its bytes.
#include <algorithm>
#include <array>
#include <queue>

#include "base/error.h"
#include "tokenizer/model.h"
#include "tokenizer/text.h"

namespace citius::tok {
namespace {

class Spm final : public Model {
 public:
  Spm(Vocabulary vocabulary, const Tables& tables, int32_t unk_id, std::string_view where)
      : Model(std::move(vocabulary)), scores_(tables.get<float>("scores", where)), unk_id_(unk_id) {
    if (scores_.size() != vocabulary_.size()) fail_input(where, "got {} scores for {} tokens", scores_.size(), vocabulary_.size());
    for (unsigned byte = 0; byte < 256; ++byte) {
      auto id = vocabulary_.find(fmt::format("<0x{:02X}>", byte));
      if (!id) id = vocabulary_.find(std::string(1, static_cast<char>(byte)));
      byte_ids_[byte] = id.value_or(-1);
    }
    for (size_t id = 0; id < vocabulary_.size(); ++id) {
      longest_ = std::max(longest_, vocabulary_.token(static_cast<int32_t>(id)).size());
    }
  }

  void tokenize(std::string_view word, std::vector<Token>& out) const override {
    std::vector<Symbol> symbols;
    for (size_t begin = 0; begin < word.size();) {
      const size_t end = begin + static_cast<size_t>(utf8_length(word[begin]));
      const auto index = static_cast<int32_t>(symbols.size());
      symbols.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end), index - 1, end == word.size() ? -1 : index + 1});
      begin = end;
    }
    merge(word, symbols);
    for (const Symbol& symbol : symbols) {
      if (symbol.begin < symbol.end) put(word, symbol, out);
    }
  }

 private:
  struct Symbol {
    uint32_t begin, end;  // bytes of the word; empty once merged into the left neighbour
    int32_t previous, next;
  };
  struct Candidate {
    float score;
    int32_t left, right;
    uint32_t size;
    bool operator<(const Candidate& other) const { return score < other.score || (score == other.score && left > other.left); }
  };

  void merge(std::string_view word, std::vector<Symbol>& symbols) const {
    std::priority_queue<Candidate> queue;
    const auto consider = [&](int32_t left, int32_t right) {
      if (left < 0 || right < 0) return;
      const uint32_t begin = symbols[static_cast<size_t>(left)].begin;
      const uint32_t size = symbols[static_cast<size_t>(right)].end - begin;
      if (size > longest_) return;
      if (const auto id = vocabulary_.find(word.substr(begin, size))) {
        queue.push({scores_[static_cast<size_t>(*id)], left, right, size});
      }
    };
    for (size_t i = 1; i < symbols.size(); ++i) consider(static_cast<int32_t>(i) - 1, static_cast<int32_t>(i));
    while (!queue.empty()) {
      const Candidate top = queue.top();
      queue.pop();
      Symbol& left = symbols[static_cast<size_t>(top.left)];
      Symbol& right = symbols[static_cast<size_t>(top.right)];
      const bool alive = left.begin < left.end && right.begin < right.end;
      if (!alive || right.end - left.begin != top.size) continue;
      left.end = right.end;
      left.next = right.next;
      right.end = right.begin;
      if (right.next >= 0) symbols[static_cast<size_t>(right.next)].previous = top.left;
      consider(left.previous, top.left);
      consider(top.left, left.next);
    }
  }

  void put(std::string_view word, const Symbol& symbol, std::vector<Token>& out) const {
    const std::string_view piece = word.substr(symbol.begin, symbol.end - symbol.begin);
    if (const auto id = vocabulary_.find(piece)) {
      out.push_back({*id, symbol.begin, symbol.end});
      return;
    }
    const auto id_of = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
    if (std::all_of(piece.begin(), piece.end(), [&](char byte) { return id_of(byte) >= 0; })) {
      for (uint32_t i = 0; i < piece.size(); ++i) out.push_back({id_of(piece[i]), symbol.begin + i, symbol.begin + i + 1});
    } else if (unk_id_ >= 0) {
      out.push_back({unk_id_, symbol.begin, symbol.end});
    } else {
      fail_input("tokenizer", "'{}' has no token, and the vocabulary has no bytes and no unknown token", piece);
    }
  }

  Table<float> scores_;
  int32_t unk_id_;
  size_t longest_ = 0;
  std::array<int32_t, 256> byte_ids_{};
};

}  // namespace

Tables compile_spm(const Vocabulary& vocabulary, std::vector<float> scores) {
  Tables tables;
  vocabulary.add_to(tables);
  tables.add("scores", Table(std::move(scores)));
  return tables;
}

std::unique_ptr<Model> make_spm(Vocabulary vocabulary, const Tables& tables, int32_t unk_id, std::string_view where) {
  return std::make_unique<Spm>(std::move(vocabulary), tables, unk_id, where);
}

}  // namespace citius::tok
