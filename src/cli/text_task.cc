#include "cli/text_task.h"

#include <cstdio>
#include <optional>

#include "base/check.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/signal.h"

namespace citius::cli {

void TextTaskFlags::add_to(CLI::App& command) {
  model.add_to(command);
  add_input_options(command, input);
  add_output_options(command, output);
  command.add_option("--max-length", task.max_length, "Tokens an input may have (default: what the model says)")
      ->check(CLI::Range(1, 1 << 24));
}

namespace {

// `write` of the answers to `rows`. A batch that fails is taken row by row: each gives the same alone.
void answer_rows(const Inputs& inputs, std::span<const InputRow> rows, const AnswerTexts& answer,
                 const std::function<void(std::vector<TextAnswer>)>& write) {
  std::vector<TextAnswer> answers;
  try {
    answers = answer(rows);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput || (rows.size() == 1 && rows[0].line == 0)) throw;
    if (rows.size() == 1) fail_input(fmt::format("{}:{}", inputs.where(), rows[0].line), "{}", error.what());
    for (size_t i = 0; i < rows.size(); ++i) answer_rows(inputs, rows.subspan(i, 1), answer, write);
    return;
  }
  CHECK(answers.size() == rows.size());
  check_interrupted();
  write(std::move(answers));
}

}  // namespace

void answer_texts(Inputs& inputs, Outputs& outputs, const std::string& what, size_t batch_rows, int64_t max_length,
                  const AnswerTexts& answer) {
  outputs.check_apart(inputs.where());
  std::optional<Progress> progress;
  if (inputs.total_bytes() > 0 && !outputs.on_terminal()) progress.emplace(what, inputs.total_bytes(), ProgressUnit::kBytes);
  size_t truncated = 0, count = 0;
  for (std::vector<InputRow> rows = inputs.next_batch(batch_rows); !rows.empty(); rows = inputs.next_batch(batch_rows)) {
    answer_rows(inputs, rows, answer, [&](std::vector<TextAnswer> answers) {
      for (TextAnswer& one : answers) {
        OutputRow row{std::move(one.fields), one.plain, {}};
        if (!one.embedding.empty()) row.embedding = one.embedding;
        outputs.write(row);
        truncated += one.truncated > 0;
      }
    });
    count += rows.size();
    if (progress) progress->update(inputs.given_bytes());
  }
  outputs.finish();
  if (progress) progress->finish();
  report_truncated(truncated, count, max_length);
}

void report_truncated(size_t truncated, size_t count, int64_t max_length) {
  if (truncated == 0) return;
  std::fprintf(stderr, "citius: %zu of %zu inputs were cut to %lld tokens\n", truncated, count, static_cast<long long>(max_length));
}

std::vector<std::string> texts_of(std::span<const InputRow> rows) {
  std::vector<std::string> texts;
  for (const InputRow& row : rows) texts.push_back(row.text);
  return texts;
}

}  // namespace citius::cli
