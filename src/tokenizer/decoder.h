// Decoders: what turns the strings of tokens back into text. Each takes and gives a list of strings, which are joined in
// the end.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/pre_tokenizer.h"

namespace citius::tok {

class Decoder {
 public:
  virtual ~Decoder() = default;
  virtual void apply(std::vector<std::string>& tokens) const = 0;
  /// Whether the text of a list of tokens begins with the text of a shorter list, where no run of byte tokens is cut.
  /// Where it does not, text can only be given out when all tokens are known.
  virtual bool streams() const { return true; }
  /// Whether runs of byte tokens ("<0x0A>") are decoded together.
  virtual bool joins_bytes() const { return false; }
  /// Whether each token is a string of bytes, and the text is all of them in a row.
  virtual bool is_byte_level() const { return false; }
  /// Whether only the beginning of each string is looked at.
  virtual bool looks_at_start_only() const { return false; }
  /// Whether all tokens become one string, so that later steps see the whole text.
  virtual bool fuses() const { return false; }
};
using DecoderPtr = std::unique_ptr<Decoder>;

DecoderPtr make_decoder_sequence(std::vector<DecoderPtr> steps);
DecoderPtr make_byte_level_decoder();
DecoderPtr make_wordpiece_decoder(std::string prefix, bool cleanup);
DecoderPtr make_metaspace_decoder(std::string replacement, PrependScheme scheme);
DecoderPtr make_bpe_decoder(std::string suffix);
DecoderPtr make_ctc_decoder(std::string pad, std::string word_delimiter, bool cleanup);
DecoderPtr make_fuse_decoder();
DecoderPtr make_strip_decoder(char32_t content, size_t start, size_t stop);
DecoderPtr make_byte_fallback_decoder();
DecoderPtr make_replace_decoder(Regex pattern, std::string content);
/// No decoder in the file: tokens with spaces between.
DecoderPtr make_join_decoder();

/// The bytes that a token of a byte-level vocabulary stands for.
std::string byte_level_bytes(std::string_view token);
/// The byte of a token such as "<0x0A>"; -1 for other tokens.
int byte_token_value(std::string_view token);

}  // namespace citius::tok
