// Byte pair encoding: a word starts as its characters, and the pair of neighbours with the lowest rank is merged until
// none is left. Short words scan for the lowest rank, long ones keep the candidates in a heap.
#include <algorithm>
#include <array>
#include <queue>

#include "base/error.h"
#include "tokenizer/model.h"
#include "tokenizer/text.h"

namespace citius::tok {
namespace {

constexpr size_t kScanLimit = 32;  // symbols; up to here scanning is faster than a heap

struct Symbol {
  int32_t id;
  uint32_t begin, end;     // bytes of the word
  int32_t previous, next;  // neighbours, -1 at the ends
  bool alive = true;
};

class Bpe final : public Model {
 public:
  Bpe(Vocabulary vocabulary, const Tables& tables, BpeOptions options, std::string_view where)
      : Model(std::move(vocabulary)), options_(std::move(options)), merges_(tables, vocabulary_.size(), where) {
    if (options_.unk_token) unk_id_ = vocabulary_.find(*options_.unk_token);
    for (unsigned byte = 0; byte < 256; ++byte) byte_ids_[byte] = find_or_none(fmt::format("<0x{:02X}>", byte));
    std::string text;
    for (char32_t c = 0; c < char_ids_.size(); ++c) {
      text.clear();
      append_utf8(text, c);
      char_ids_[c] = find_or_none(text);
    }
    plain_ = options_.continuing_subword_prefix.empty() && options_.end_of_word_suffix.empty();
  }

  void tokenize(std::string_view word, std::vector<Token>& out) const override {
    if (options_.ignore_merges) {
      if (const auto id = vocabulary_.find(word)) {
        out.push_back({*id, 0, static_cast<uint32_t>(word.size())});
        return;
      }
    }
    std::vector<Symbol> symbols;
    symbols.reserve(word.size());
    split(word, symbols);
    if (symbols.size() <= kScanLimit) {
      merge_scanning(symbols);
    } else {
      merge_by_heap(symbols);
    }
    for (const Symbol& symbol : symbols) {
      if (symbol.alive) out.push_back({symbol.id, symbol.begin, symbol.end});
    }
  }

  bool marks_subwords() const override { return !options_.continuing_subword_prefix.empty(); }

 private:
  int32_t find_or_none(std::string_view token) const { return vocabulary_.find(token).value_or(-1); }

  int32_t char_id(std::string_view word, size_t begin, size_t end) const {
    if (plain_) {
      size_t at = begin;
      const char32_t c = next_char(word, at);
      return c < char_ids_.size() ? char_ids_[c] : find_or_none(word.substr(begin, end - begin));
    }
    std::string text(begin > 0 ? options_.continuing_subword_prefix : "");
    text += word.substr(begin, end - begin);
    if (end == word.size()) text += options_.end_of_word_suffix;
    return find_or_none(text);
  }

  /// Characters to symbols. Offsets run over the characters that got one: a character without a token in a vocabulary
  /// without an unknown token disappears, as in the `tokenizers` package.
  void split(std::string_view word, std::vector<Symbol>& symbols) const {
    uint32_t offset = 0;
    uint32_t unknown = 0;  // bytes of the unknown token that waits for more
    const auto add = [&](int32_t id, uint32_t bytes) {
      const auto index = static_cast<int32_t>(symbols.size());
      if (index > 0) symbols.back().next = index;
      symbols.push_back({id, offset, offset + bytes, index - 1, -1});
      offset += bytes;
    };
    for (size_t begin = 0; begin < word.size();) {
      const size_t end = begin + static_cast<size_t>(utf8_length(word[begin]));
      const auto bytes = static_cast<uint32_t>(end - begin);
      if (const int32_t id = char_id(word, begin, end); id >= 0) {
        if (unknown > 0) add(*unk_id_, unknown);
        unknown = 0;
        add(id, bytes);
      } else if (!(options_.byte_fallback && add_bytes(word.substr(begin, bytes), end == word.size(), add)) && options_.unk_token) {
        if (!unk_id_) fail_input("tokenizer", "unknown token '{}' is not in the vocabulary", *options_.unk_token);
        if (unknown > 0 && !options_.fuse_unk) {
          add(*unk_id_, unknown);
          unknown = 0;
        }
        unknown += bytes;
      }
      begin = end;
    }
    if (unknown > 0) add(*unk_id_, unknown);
  }

  template <typename Add>
  bool add_bytes(std::string_view character, bool last, Add add) const {
    // The suffix of the last character falls back to bytes too.
    std::string bytes(character);
    if (last) bytes += options_.end_of_word_suffix;
    const auto id = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
    if (!std::all_of(bytes.begin(), bytes.end(), [&](char byte) { return id(byte) >= 0; })) return false;
    for (const char byte : bytes) add(id(byte), 1);
    return true;
  }

  void merge_scanning(std::vector<Symbol>& symbols) const {
    // best[i]: the merge of symbol i with its right neighbour.
    std::array<const Merge*, kScanLimit> best{};
    for (size_t i = 0; i + 1 < symbols.size(); ++i) best[i] = merges_.find(symbols[i].id, symbols[i + 1].id);
    while (true) {
      int32_t at = -1;
      for (int32_t i = 0; i >= 0 && i < static_cast<int32_t>(symbols.size()); i = symbols[static_cast<size_t>(i)].next) {
        const Merge* candidate = best[static_cast<size_t>(i)];
        if (candidate != nullptr && (at < 0 || candidate->rank < best[static_cast<size_t>(at)]->rank)) at = i;
      }
      if (at < 0) return;
      join(symbols, at, best[static_cast<size_t>(at)]->id);
      const Symbol& joined = symbols[static_cast<size_t>(at)];
      best[static_cast<size_t>(at)] = joined.next < 0 ? nullptr : pair_at(symbols, at);
      if (joined.previous >= 0) best[static_cast<size_t>(joined.previous)] = pair_at(symbols, joined.previous);
    }
  }

  void merge_by_heap(std::vector<Symbol>& symbols) const {
    struct Candidate {
      uint32_t rank;
      int32_t at;
      int32_t id;
      bool operator>(const Candidate& other) const { return rank != other.rank ? rank > other.rank : at > other.at; }
    };
    std::vector<Candidate> initial;
    initial.reserve(symbols.size());
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      if (const Merge* merge = merges_.find(symbols[i].id, symbols[i + 1].id)) {
        initial.push_back({merge->rank, static_cast<int32_t>(i), merge->id});
      }
    }
    std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(std::greater<>{}, std::move(initial));
    while (!queue.empty()) {
      const Candidate top = queue.top();
      queue.pop();
      const Symbol& symbol = symbols[static_cast<size_t>(top.at)];
      if (!symbol.alive || symbol.next < 0) continue;
      const Merge* merge = pair_at(symbols, top.at);
      if (merge == nullptr || merge->id != top.id) continue;  // a neighbour has changed since
      join(symbols, top.at, top.id);
      for (const int32_t left : {symbol.previous, symbol.next < 0 ? -1 : top.at}) {
        if (left < 0) continue;
        if (const Merge* next = pair_at(symbols, left)) queue.push({next->rank, left, next->id});
      }
    }
  }

  const Merge* pair_at(const std::vector<Symbol>& symbols, int32_t left) const {
    const Symbol& symbol = symbols[static_cast<size_t>(left)];
    return merges_.find(symbol.id, symbols[static_cast<size_t>(symbol.next)].id);
  }

  static void join(std::vector<Symbol>& symbols, int32_t at, int32_t id) {
    Symbol& left = symbols[static_cast<size_t>(at)];
    Symbol& right = symbols[static_cast<size_t>(left.next)];
    left.id = id;
    left.end = right.end;
    left.next = right.next;
    right.alive = false;
    if (right.next >= 0) symbols[static_cast<size_t>(right.next)].previous = at;
  }

  BpeOptions options_;
  MergeTable merges_;
  std::optional<int32_t> unk_id_;
  std::array<int32_t, 256> byte_ids_{};
  std::array<int32_t, 0x800> char_ids_{};  // ids of single characters, -1 where there is none
  bool plain_ = true;                      // no prefix, no suffix
};

}  // namespace

Tables compile_bpe(const Vocabulary& vocabulary, const MergeList& merges, const std::string& prefix, std::string_view where) {
  std::vector<MergeTable::Entry> entries;
  entries.reserve(merges.size());
  const auto id_of = [&](std::string_view token) {
    const auto id = vocabulary.find(token);
    if (!id) fail_input(where, "merge {}: '{}' is not in the vocabulary", entries.size(), token);
    return *id;
  };
  std::string merged;
  for (const auto& [left, right] : merges) {
    if (!right.starts_with(prefix)) {
      fail_input(where, "merge {} ('{}' '{}'): the second part lacks the prefix '{}'", entries.size(), left, right, prefix);
    }
    merged.assign(left).append(right.substr(prefix.size()));
    const auto rank = static_cast<uint32_t>(entries.size());
    entries.push_back({id_of(left), id_of(right), {rank, id_of(merged)}});
  }
  Tables tables;
  vocabulary.add_to(tables);
  MergeTable(entries).add_to(tables);
  return tables;
}

std::unique_ptr<Model> make_bpe(Vocabulary vocabulary, const Tables& tables, BpeOptions options, std::string_view where) {
  return std::make_unique<Bpe>(std::move(vocabulary), tables, std::move(options), where);
}

}  // namespace citius::tok
