// Normalizers: what happens to the text between added tokens before it is cut into words.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/text.h"

namespace citius::tok {

class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Appends the normalized text to `out`. `origin`: where the text begins in the original.
  virtual void apply(const AlignedText& in, int32_t origin, AlignedText& out) const = 0;
};
using NormalizerPtr = std::unique_ptr<Normalizer>;

NormalizerPtr make_normalizer_sequence(std::vector<NormalizerPtr> steps);
NormalizerPtr make_bert_normalizer(bool clean_text, bool handle_chinese_chars, bool strip_accents, bool lowercase);
NormalizerPtr make_unicode_normalizer(std::string_view form, std::string_view where);  // NFC, NFD, NFKC, NFKD
NormalizerPtr make_lowercase();
NormalizerPtr make_strip(bool left, bool right);
NormalizerPtr make_strip_accents();
NormalizerPtr make_nmt();
NormalizerPtr make_prepend(std::string prefix);
NormalizerPtr make_byte_level_normalizer();
/// SentencePiece's compiled character map: a double-array trie and the replacements, checked before use.
NormalizerPtr make_precompiled(std::string charsmap, std::string_view where);

class Regex;
NormalizerPtr make_replace(Regex pattern, std::string content);

/// Replaces what `pattern` matches; used by the Replace decoder too.
std::string replace_all(const Regex& pattern, std::string_view text, std::string_view content);

/// The printable character that stands for a byte in byte-level vocabularies ("Ġ" for a space), and back.
char32_t byte_to_char(unsigned char byte);
int char_to_byte(char32_t c);  // -1 where the character stands for no byte

/// Appends bytes [begin, end) of `in` with each byte as its character.
void append_byte_level(const AlignedText& in, size_t begin, size_t end, AlignedText& out);

}  // namespace citius::tok
