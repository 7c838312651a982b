// Extractive question answering: question and context in, parts of the context out. A long context is read in overlapping
// windows. Defaults are those of transformers' pipeline.
#pragma once

#include <string>
#include <vector>

#include "heads/question_answering.h"
#include "runtime/task_model.h"

namespace citius {

struct QuestionOptions {
  AnswerOptions answers;
  int64_t window = 0;   // tokens of question and context together; 0: 384, or what the model allows
  int64_t overlap = 0;  // tokens that consecutive windows share; 0: 128, or half a window
};

struct FoundAnswer {
  Answer answer;     // offsets in code points of the context
  std::string text;  // empty for "no answer"
};

class QuestionAnswerer {
 public:
  explicit QuestionAnswerer(Engine& engine, const QuestionOptions& question = {}, const TaskOptions& options = {});
  /// Best first. Throws Error{kInput} where the question leaves no room for the context.
  std::vector<FoundAnswer> answer(const std::string& question, const std::string& context);

 private:
  AnswerWindow window_of(const Encoding& encoding, const TaskLogits& logits) const;

  QuestionOptions question_;
  TaskModel model_;
};

}  // namespace citius
