// `citius choose`: which of several texts goes with a first one, by a multiple choice model.
#include <fmt/format.h>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/text_task.h"
#include "runtime/tasks.h"

namespace citius::cli {
namespace {

struct ChooseFlags : TextTaskFlags {
  std::vector<std::string> choices;
  std::vector<std::string> columns;
};

constexpr size_t kRows = 16;

TextAnswer answer_of(const Choice& result, const std::vector<std::string>& choices) {
  const std::string& choice = choices[result.index];
  const double score = result.scores[result.index];
  json::array scores(result.scores.begin(), result.scores.end());
  return {{{"index", result.index}, {"choice", choice}, {"score", score}, {"scores", std::move(scores)}},
          fmt::format("{}\t{:.4f}", choice, score),
          result.truncated,
          {}};
}

void run_choose(const ChooseFlags& flags) {
  if (flags.choices.empty() == flags.columns.empty()) {
    fail(ErrorKind::kUsage, "choose", "expected either --choice, twice or more, or --choice-columns");
  }
  if (flags.choices.size() + flags.columns.size() < 2) {
    fail(ErrorKind::kUsage, "choose", "got one choice, expected two or more");
  }
  if (flags.input.has_text && flags.choices.empty()) {
    fail(ErrorKind::kUsage, "--choice-columns", "got a text argument; expected --input with a .jsonl, .csv or .tsv file");
  }
  Outputs outputs(flags.output, /*embeddings=*/false);
  Inputs inputs(flags.input, flags.columns);
  Engine engine = flags.model.open();
  Chooser chooser(engine, flags.task);
  answer_texts(inputs, outputs, "choose", kRows, chooser.max_length(), [&](std::span<const InputRow> rows) {
    std::vector<TextAnswer> answers;
    for (const InputRow& row : rows) {
      const std::vector<std::string>& choices = flags.choices.empty() ? row.fields : flags.choices;
      answers.push_back(answer_of(chooser.choose(row.text, choices), choices));
    }
    return answers;
  });
}

}  // namespace

void add_choose(CLI::App& app) {
  auto flags = std::make_shared<ChooseFlags>();
  CLI::App& command = *app.add_subcommand("choose", "Which of several texts goes with a first one (multiple choice)");
  flags->add_to(command);
  command.add_option("--choice", flags->choices, "A choice, the same for all inputs; given once for each")->expected(1)->take_all();
  command.add_option("--choice-columns", flags->columns, "Columns of --input that hold the choices, separated by commas")->delimiter(',');
  command.footer(
      "Example: citius choose swag-model 'She opens the box and' --choice 'finds a letter.' --choice 'is a fish.' "
      "--json");
  command.callback([flags] { run_choose(*flags); });
}

}  // namespace citius::cli
