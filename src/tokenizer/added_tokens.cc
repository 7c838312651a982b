#include "tokenizer/added_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "tokenizer/unicode.h"

namespace citius::tok {
namespace {

constexpr size_t kMaxTokenBytes = 4096;  // longest real one: a few dozen. Bounds the search

}  // namespace

TokenFinder::TokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& patterns, std::string_view where)
    : tokens_(std::move(tokens)) {
  std::vector<Trie::Entry> entries;
  for (size_t i = 0; i < patterns.size(); ++i) {
    if (patterns[i].size() > kMaxTokenBytes) {
      fail_input(where, "added token {} has {} bytes, expected at most {}", tokens_[i].id, patterns[i].size(), kMaxTokenBytes);
    }
    entries.emplace_back(patterns[i], static_cast<int32_t>(i));
  }
  trie_ = Trie(std::move(entries));
}

bool TokenFinder::stands_alone(std::string_view text, size_t begin, size_t end) const {
  size_t before = begin, after = end;
  if (begin > 0 && is_word(previous_char(text, before))) return false;
  return end >= text.size() || !is_word(next_char(text, after));
}

void TokenFinder::split(std::string_view text, std::vector<Piece>& out) const {
  size_t covered = 0;  // up to here the text is given out
  for (size_t at = 0; at < text.size() && !tokens_.empty();) {
    const auto [index, length] = trie_.longest(Trie::kRoot, text.substr(at));
    if (index == Trie::kNone) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    size_t begin = at, end = at + length;
    at = end;
    if (token.single_word && !stands_alone(text, begin, end)) continue;
    if (token.lstrip) {
      for (size_t i = begin; i > covered && is_whitespace(previous_char(text, i));) begin = i;
    }
    if (token.rstrip) {
      for (size_t i = end; i < text.size() && is_whitespace(next_char(text, i));) end = i;
    }
    begin = std::max(begin, covered);
    if (covered < begin) out.push_back({covered, begin, -1});
    if (begin < end) out.push_back({begin, end, token.id});
    covered = std::max(covered, end);
  }
  if (covered < text.size()) out.push_back({covered, text.size(), -1});
}

}  // namespace citius::tok
