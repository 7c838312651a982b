// What the commands that answer text by text share: their flags, and the loop from inputs to outputs.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "cli/inputs.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"
#include "runtime/task_model.h"

namespace citius::cli {

struct TextTaskFlags {
  ModelFlags model;
  InputOptions input;
  OutputOptions output;
  TaskOptions task;

  /// Adds MODEL, TEXT and the flags of inputs, outputs and length.
  void add_to(CLI::App& command);
};

struct TextAnswer {
  json::object fields;
  std::string plain;
  size_t truncated = 0;          // tokens that did not fit
  std::vector<float> embedding;  // or empty
};
using AnswerTexts = std::function<std::vector<TextAnswer>(std::span<const InputRow> rows)>;

/// Takes rows as they arrive, up to `batch_rows` at a time, and writes what `answer` says of them, in order. Where a
/// row cannot be answered (Error{kInput}), those before it are, and the error names its line. Shows progress where
/// results do not go to a terminal, and reports texts that were cut to `max_length` tokens. Finishes `outputs`.
void answer_texts(Inputs& inputs, Outputs& outputs, const std::string& what, size_t batch_rows, int64_t max_length,
                  const AnswerTexts& answer);

/// Tells on standard error how many of the inputs were cut.
void report_truncated(size_t truncated, size_t count, int64_t max_length);

/// The texts of rows.
std::vector<std::string> texts_of(std::span<const InputRow> rows);

}  // namespace citius::cli
