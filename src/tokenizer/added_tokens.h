// Added tokens: found in the text before anything else looks at it, those marked `normalized` in the normalized text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/text.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace citius::tok {

/// Finds tokens in a text: leftmost first, of those the longest.
class TokenFinder {
 public:
  /// `patterns[i]` is looked for and stands for `tokens[i]`.
  TokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& patterns, std::string_view where);
  bool empty() const { return tokens_.empty(); }

  /// The text as pieces, found tokens and what lies between them; empty pieces are left out.
  void split(std::string_view text, std::vector<Piece>& out) const;

 private:
  bool stands_alone(std::string_view text, size_t begin, size_t end) const;
  std::vector<AddedToken> tokens_;
  Trie trie_;
};

}  // namespace citius::tok
