// TaskModel: a model with the output layers of one task and its tokenizer: texts in, logits out. The tasks in tasks.h and
// question_answerer.h make results of them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "heads/head.h"
#include "runtime/encoder.h"

namespace citius {

struct TaskOptions {
  int64_t max_length = 0;  // tokens, special ones included; 0: what the model says
};

/// The logits of one input: a row for the sequence, or a row a token.
struct TaskLogits {
  std::vector<float> values;  // [rows, columns]
  int64_t columns = 0;
  size_t rows() const { return values.size() / static_cast<size_t>(columns); }
  std::span<const float> row(size_t i) const { return {values.data() + i * static_cast<size_t>(columns), static_cast<size_t>(columns)}; }
};

class TaskModel {
 public:
  /// Loads the head. Throws Error{kInput} where the model has no such head, or no tokenizer.
  TaskModel(Engine& engine, HeadKind kind, int64_t outputs, const TaskOptions& options);

  /// Texts as the model takes them, cut to max_length().
  Encoding encode(const std::string& text) const;
  Encoding encode_pair(const std::string& first, const std::string& second, TruncationStrategy strategy) const;

  std::vector<TaskLogits> run(std::span<const Encoding> encodings);
  /// Logits of chosen tokens alone: rows[i] of encodings[i]. For heads that do not pool.
  std::vector<TaskLogits> run_rows(std::span<const Encoding> encodings, std::span<const std::vector<size_t>> rows);

  /// Tokens that an input may have.
  int64_t max_length() const { return max_length_; }
  const Tokenizer& tokenizer() const { return *engine_.tokenizer; }
  const Checkpoint& checkpoint() const { return engine_.checkpoint; }

 private:
  TaskLogits copy(const TensorView& logits) const;

  Engine& engine_;
  Head head_;
  Encoder encoder_;
  int64_t max_length_ = 0;
};

}  // namespace citius
