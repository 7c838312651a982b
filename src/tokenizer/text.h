// Text on its way through the tokenizer: UTF-8 bytes, and for each byte the span of the original text that it came from.
// Every stage keeps these spans, so that a token can name the characters it stands for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace citius::tok {

/// Length in bytes of the UTF-8 sequence that starts with `first`. Only for text known to be valid.
inline int utf8_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

/// The code point at `position`, which is moved behind it. Only for text known to be valid.
inline char32_t next_char(std::string_view text, size_t& position) {
  const auto byte = [&](size_t i) { return static_cast<char32_t>(static_cast<unsigned char>(text[position + i])); };
  const char32_t first = byte(0);
  if (first < 0x80) {
    position += 1;
    return first;
  }
  if (first < 0xE0) {
    const char32_t c = (first & 0x1F) << 6 | (byte(1) & 0x3F);
    position += 2;
    return c;
  }
  if (first < 0xF0) {
    const char32_t c = (first & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    position += 3;
    return c;
  }
  const char32_t c = (first & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  position += 4;
  return c;
}

/// The code point that ends before `position`, which is moved to its beginning.
inline char32_t previous_char(std::string_view text, size_t& position) {
  do {
    --position;
  } while ((static_cast<unsigned char>(text[position]) & 0xC0) == 0x80);
  size_t at = position;
  return next_char(text, at);
}

void append_utf8(std::string& out, char32_t c);
size_t count_chars(std::string_view text);
bool is_valid_utf8(std::string_view text);
/// Length of the valid or ill-formed part at the beginning of `text` (not empty), as the Unicode standard's "maximal
/// subpart" rule has it; `valid` says which.
size_t utf8_part(std::string_view text, bool& valid);
/// Whether an ill-formed `text` could become a character if more bytes followed.
bool may_continue(std::string_view text);
/// Ill-formed parts replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

/// Bytes with the original span of each. Spans count bytes of the (valid) original text.
struct AlignedText {
  std::string bytes;
  std::vector<TextSpan> spans;  // one a byte

  size_t size() const { return bytes.size(); }
  void clear() {
    bytes.clear();
    spans.clear();
  }
  void append(std::string_view text, TextSpan span) {
    bytes.append(text);
    spans.insert(spans.end(), text.size(), span);
  }
  void append(char32_t c, TextSpan span) {
    const size_t before = bytes.size();
    append_utf8(bytes, c);
    spans.insert(spans.end(), bytes.size() - before, span);
  }
  /// Bytes [begin, end) of another text.
  void append(const AlignedText& from, size_t begin, size_t end) {
    bytes.append(from.bytes, begin, end - begin);
    spans.insert(spans.end(), from.spans.begin() + static_cast<ptrdiff_t>(begin), from.spans.begin() + static_cast<ptrdiff_t>(end));
  }
  /// Valid UTF-8 standing for itself, at `offset` of the original.
  void append_original(std::string_view text, size_t offset);
};

/// Rewrites a text character by character, keeping spans by the rules of the `tokenizers` package: each character that
/// is put out either replaces the next one of the source (change 0), is inserted after it (change 1), or replaces it and
/// swallows the n that follow (change -n).
class Rewriter {
 public:
  /// `origin`: where the source begins in the original text, for characters inserted before anything else.
  Rewriter(const AlignedText& source, int32_t origin, AlignedText& out) : source_(source), origin_(origin), out_(out) {}
  void put(char32_t c, int change);

 private:
  const AlignedText& source_;
  int32_t origin_;
  AlignedText& out_;
  size_t position_ = 0;
};

/// A word on its way to the model: bytes [begin, end) of a text, or an added token that was found there.
struct Piece {
  size_t begin = 0;
  size_t end = 0;
  int32_t added_id = -1;
};

/// A text and its pieces, in order. Pieces never overlap; what lies between them is dropped.
struct PieceList {
  AlignedText text;
  std::vector<Piece> pieces;

  std::string_view view(const Piece& piece) const { return std::string_view(text.bytes).substr(piece.begin, piece.end - piece.begin); }
};

}  // namespace citius::tok
