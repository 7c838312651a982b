// `citius ner`: the named entities of a text.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/text_task.h"
#include "runtime/tasks.h"

namespace citius::cli {
namespace {

struct NerFlags : TextTaskFlags {
  std::string aggregation = "simple";
  int64_t overlap = 0;
};

constexpr size_t kRows = 64;

TextAnswer answer_of(const Entities& result) {
  TextAnswer answer;
  json::array entities;
  for (const FoundEntity& found : result.entities) {
    const Entity& entity = found.entity;
    entities.push_back(
        json::object{{"label", entity.label}, {"score", entity.score}, {"start", entity.begin}, {"end", entity.end}, {"text", found.text}});
    answer.plain += fmt::format("{}{}={}", answer.plain.empty() ? "" : "\t", entity.label, found.text);
  }
  answer.fields["entities"] = std::move(entities);
  answer.truncated = result.truncated;
  return answer;
}

void run_ner(const NerFlags& flags) {
  Outputs outputs(flags.output, /*embeddings=*/false);
  Inputs inputs(flags.input);
  Engine engine = flags.model.open();
  EntityFinder finder(engine, *parse_aggregation(flags.aggregation), flags.task, flags.overlap);
  answer_texts(inputs, outputs, "ner", kRows, finder.max_length(), [&](std::span<const InputRow> rows) {
    std::vector<TextAnswer> answers;
    for (const Entities& result : finder.find(texts_of(rows))) answers.push_back(answer_of(result));
    return answers;
  });
}

}  // namespace

void add_ner(CLI::App& app) {
  auto flags = std::make_shared<NerFlags>();
  CLI::App& command = *app.add_subcommand("ner", "Named entities of a text, with their places in code points");
  flags->add_to(command);
  command
      .add_option("--aggregation", flags->aggregation,
                  "none: every token; simple: neighbours of one kind; first, average, max: whole words, by the label "
                  "of the first token, the mean, the most certain token")
      ->check(CLI::IsMember({"none", "simple", "first", "average", "max"}))
      ->capture_default_str();
  command.add_option("--overlap", flags->overlap, "Read long texts in windows that share so many tokens (default: they are cut)")
      ->check(CLI::Range(1, 1 << 24));
  command.footer("Example: citius ner ner-model 'Ada Lovelace lived in London.' --aggregation first --json");
  command.callback([flags] { run_ner(*flags); });
}

}  // namespace citius::cli
