// Pre-tokenizers: what cuts the normalized text into words. Each refines the pieces that the one before it left; added
// tokens stay as they are.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "tokenizer/regex.h"
#include "tokenizer/text.h"

namespace citius::tok {

/// What becomes of what a pattern matched, for "the-final--countdown" cut at "-".
enum class SplitBehavior {
  kRemoved,             // the final countdown
  kIsolated,            // the - final - - countdown
  kMergedWithPrevious,  // the- final- - countdown
  kMergedWithNext,      // the -final - -countdown
  kContiguous,          // the - final -- countdown
};

class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void apply(PieceList& list) const = 0;
};
using PreTokenizerPtr = std::unique_ptr<PreTokenizer>;

enum class PrependScheme { kAlways, kFirst, kNever };

PreTokenizerPtr make_pre_tokenizer_sequence(std::vector<PreTokenizerPtr> steps);
PreTokenizerPtr make_split(Regex pattern, SplitBehavior behavior, bool invert);
PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex);
PreTokenizerPtr make_metaspace(std::string replacement, PrependScheme scheme, bool split);
PreTokenizerPtr make_char_delimiter(char32_t delimiter);
PreTokenizerPtr make_whitespace_split();
PreTokenizerPtr make_bert_pre_tokenizer();
PreTokenizerPtr make_punctuation(SplitBehavior behavior);
PreTokenizerPtr make_digits(bool individual);
PreTokenizerPtr make_unicode_scripts();
PreTokenizerPtr make_fixed_length(size_t length);

/// The word pattern of GPT-2, which byte-level pre-tokenizers use.
extern const char kGpt2Pattern[];

}  // namespace citius::tok
