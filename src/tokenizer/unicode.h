// Character properties as the `tokenizers` package sees them. It uses several Unicode versions at once: version 8 for
// general categories, version 9 for normalisation, a current one for white space, numbers and case. ICU knows the age
// of every code point, so the old versions are the current one with younger code points unassigned, but for the few
// whose properties were changed later, which are listed in the .cc file.
#pragma once

#include <cstdint>

#include "tokenizer/text.h"

namespace citius::tok {

bool is_whitespace(char32_t c);  // White_Space
bool is_numeric(char32_t c);     // N*
bool is_word(char32_t c);        // \w
bool is_ascii_punctuation(char32_t c);
bool is_punctuation(char32_t c);      // P* of Unicode 8
bool is_other(char32_t c);            // Cc, Cf, Co of Unicode 8
bool is_nonspacing_mark(char32_t c);  // Mn of Unicode 8
bool is_combining_mark(char32_t c);   // M* of Unicode 9
bool is_chinese(char32_t c);          // the CJK blocks of the BERT tokenizer

int script_of(char32_t c);  // UScriptCode, as of Unicode 9

/// Full lower case of one character, without context: one or two code points.
int to_lower(char32_t c, char32_t out[2]);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
/// Unicode normalisation with spans.
void normalize_unicode(NormalForm form, const AlignedText& in, int32_t origin, AlignedText& out);
/// Whether the text is its own normal form for sure (a quick test; false is no proof).
bool is_surely_normal(std::string_view text);

/// End of the extended grapheme cluster that begins at `begin`.
size_t grapheme_end(std::string_view text, size_t begin);

}  // namespace citius::tok
