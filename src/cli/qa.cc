// `citius qa`: the part of a context that answers a question.
#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/text_files.h"
#include "cli/text_task.h"
#include "runtime/question_answerer.h"

namespace citius::cli {
namespace {

struct QaFlags : TextTaskFlags {
  std::string question;
  bool has_question = false;
  QuestionOptions options;
  double min_score = 0;
};

// A context may be many windows, which run together.
constexpr size_t kRows = 8;

// As text: the best answer; several have their scores, and each a line where there is one context, or all the one line of theirs.
TextAnswer answer_of(const std::vector<FoundAnswer>& found, const QaFlags& flags, bool single) {
  TextAnswer answer;
  json::array answers;
  for (const FoundAnswer& one : found) {
    if (one.answer.score < flags.min_score) break;  // best first
    answers.push_back(json::object{{"text", one.text}, {"score", one.answer.score}, {"start", one.answer.begin}, {"end", one.answer.end}});
    if (flags.options.answers.top_k == 1) {
      answer.plain = one.text;
    } else {
      answer.plain += fmt::format("{}{}\t{:.4f}", answer.plain.empty() ? "" : single ? "\n" : "\t", one.text, one.answer.score);
    }
  }
  answer.fields["answers"] = std::move(answers);
  return answer;
}

// With --question the inputs are contexts; without it a table brings both.
void run_qa(QaFlags& flags) {
  std::vector<std::string> fields;
  if (!flags.has_question) {
    if (!is_table(flags.input.input)) {
      fail(ErrorKind::kUsage, "--question",
           "is missing; expected it, or --input with a .jsonl, .csv or .tsv file that has the columns question and "
           "context");
    }
    fields = {"question"};
  }
  if (is_table(flags.input.input) && flags.input.text_column.empty()) flags.input.text_column = "context";
  Outputs outputs(flags.output, /*embeddings=*/false);
  Inputs inputs(flags.input, fields);
  Engine engine = flags.model.open();
  QuestionAnswerer answerer(engine, flags.options, flags.task);
  answer_texts(inputs, outputs, "qa", kRows, /*max_length=*/0, [&](std::span<const InputRow> rows) {
    std::vector<TextAnswer> answers;
    for (const InputRow& row : rows) {
      const std::string& question = flags.has_question ? flags.question : row.fields[0];
      answers.push_back(answer_of(answerer.answer(question, row.text), flags, inputs.single()));
    }
    return answers;
  });
}

}  // namespace

void add_qa(CLI::App& app) {
  auto flags = std::make_shared<QaFlags>();
  CLI::App& command = *app.add_subcommand("qa", "The part of a context that answers a question");
  flags->add_to(command);
  command.add_option_function<std::string>(
      "--question",
      [flags](const std::string& question) {
        flags->question = question;
        flags->has_question = true;
      },
      "The question; without it --input must be a table with the columns question and context");
  command.add_option_function<std::string>(
      "--context",
      [flags](const std::string& context) {
        if (flags->input.has_text) fail(ErrorKind::kUsage, "--context", "got a text argument too; expected one of the two");
        flags->input.text = context;
        flags->input.has_text = true;
      },
      "The context (the same as the text argument)");
  command.add_option("--top-k", flags->options.answers.top_k, "Answers, best first; text shows several with their scores")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command.add_option("--max-answer-tokens", flags->options.answers.max_tokens, "Longest answer in tokens")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command.add_flag("--no-answer", flags->options.answers.allow_none, "An empty answer competes: the context may not hold one");
  command.add_option("--min-score", flags->min_score, "Leave out answers with a lower score")
      ->check(number_range(0, 1))
      ->capture_default_str();
  command
      .add_option("--window", flags->options.window, "Tokens of question and context read at once (default: 384, or what the model allows)")
      ->check(CLI::Range(8, 1 << 24));
  command.add_option("--overlap", flags->options.overlap, "Tokens that consecutive windows share (default: 128, or half a window)")
      ->check(CLI::Range(1, 1 << 24));
  command.footer("Example: citius qa squad-model --question 'Where does Anna live?' --context 'Anna lives in Paris.' --json");
  command.callback([flags] { run_qa(*flags); });
}

}  // namespace citius::cli
