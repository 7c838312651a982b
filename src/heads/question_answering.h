// From start and end logits to answers, as transformers' QuestionAnsweringPipeline (4.57) does it: long contexts in
// overlapping windows, spans by joint probability, aligned to words, equal answers added up.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace citius {

/// One window of question and context. All vectors have one entry a token.
struct AnswerWindow {
  std::vector<float> start;  // logits
  std::vector<float> end;
  std::vector<uint8_t> allowed;  // 1 for tokens of the context and for the [CLS] token
  std::vector<int32_t> begins;   // offsets into the context
  std::vector<int32_t> ends;
  std::vector<int32_t> words;  // word of the context, -1 where none
};

struct AnswerOptions {
  int top_k = 1;
  int max_tokens = 15;      // longest answer
  bool allow_none = false;  // "no answer" competes, with the score of the first token
  bool align_to_words = true;
};

struct Answer {
  double score = 0;
  int32_t begin = 0;  // both 0 for "no answer"
  int32_t end = 0;
};

/// Best first, at most top_k. `text_key` gives the text of a range of the context in the form by which answers are equal
/// (lower case).
std::vector<Answer> best_answers(const std::vector<AnswerWindow>& windows, const AnswerOptions& options,
                                 const std::function<std::string(int32_t begin, int32_t end)>& text_key);

}  // namespace citius
