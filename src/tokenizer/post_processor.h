// Post-processors: truncation, special tokens around the texts, and the trimming of offsets.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace citius::tok {

/// An encoding in the making: white space that a token's string begins and ends with is known, for trimming.
struct Draft {
  Encoding encoding;
  std::vector<uint16_t> leading, trailing;  // white-space characters; empty where nothing trims
  std::vector<Draft> overflowing;
};

class PostProcessor {
 public:
  virtual ~PostProcessor() = default;
  virtual size_t num_added(bool pair) const = 0;
  /// Works on one or two drafts in place; may join two to one.
  virtual void apply(std::vector<Draft>& drafts, bool add_special_tokens) const = 0;
  virtual bool trims() const { return false; }
  /// The largest id that it adds; -1 where it adds none.
  virtual int32_t largest_id() const { return -1; }
};
using PostProcessorPtr = std::unique_ptr<PostProcessor>;

/// One element of a template: a text (0 or 1) or special tokens.
struct TemplatePiece {
  int sequence = -1;  // 0 or 1; -1 for special tokens
  int32_t type_id = 0;
  std::vector<int32_t> ids;
};

PostProcessorPtr make_template(std::vector<TemplatePiece> single, std::vector<TemplatePiece> pair);
PostProcessorPtr make_bert_processing(int32_t cls, int32_t sep);
PostProcessorPtr make_roberta_processing(int32_t cls, int32_t sep, bool trim_offsets, bool add_prefix_space);
PostProcessorPtr make_byte_level_processing(bool trim_offsets, bool add_prefix_space);
PostProcessorPtr make_post_processor_sequence(std::vector<PostProcessorPtr> steps);

/// Cuts one or two drafts to `truncation.max_length` tokens, less `num_added` for special ones.
void truncate(std::vector<Draft>& drafts, const Truncation& truncation, size_t num_added);

/// `from` after `to`, without its windows.
void append(Encoding& to, const Encoding& from);

/// All drafts one after the other, with the overflow of each combined with the others.
Encoding merge(std::vector<Draft> drafts, bool keep_overflow);

}  // namespace citius::tok
