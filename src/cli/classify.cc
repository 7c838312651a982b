// `citius classify`: the label of a text, by the labels of the model or by labels that are given.
#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/text_task.h"
#include "runtime/tasks.h"

namespace citius::cli {
namespace {

struct ClassifyFlags : TextTaskFlags {
  ZeroShotOptions zero_shot;
};

constexpr size_t kRows = 64;

TextAnswer answer_of(const Classification& result) {
  TextAnswer answer;
  json::object scores;
  for (const auto& [label, score] : result.scores) scores[label] = score;
  answer.fields = {{"label", result.label}, {"score", result.score}, {"scores", std::move(scores)}};
  answer.plain = fmt::format("{}\t{:.4f}", result.label, result.score);
  answer.truncated = result.truncated;
  return answer;
}

template <typename Task>
void run_with(Inputs& inputs, Outputs& outputs, Task& task) {
  answer_texts(inputs, outputs, "classify", kRows, task.max_length(), [&](std::span<const InputRow> rows) {
    std::vector<TextAnswer> answers;
    for (const Classification& result : task.classify(texts_of(rows))) answers.push_back(answer_of(result));
    return answers;
  });
}

// "sports, politics" has a space that belongs to neither label.
void trim_labels(std::vector<std::string>& labels) {
  for (std::string& label : labels) {
    CLI::detail::trim(label);
    if (label.empty()) fail(ErrorKind::kUsage, "--labels", "got an empty label, expected words between the commas");
  }
}

void run_classify(ClassifyFlags& flags) {
  std::vector<std::string>& labels = flags.zero_shot.labels;
  trim_labels(labels);
  if (std::set<std::string>(labels.begin(), labels.end()).size() != labels.size()) {
    fail(ErrorKind::kUsage, "--labels", "got a label twice, expected each once");
  }
  Outputs outputs(flags.output, /*embeddings=*/false);
  Inputs inputs(flags.input);
  Engine engine = flags.model.open();
  if (labels.empty()) {
    Classifier classifier(engine, flags.task);
    run_with(inputs, outputs, classifier);
  } else {
    ZeroShotClassifier classifier(engine, flags.zero_shot, flags.task);
    run_with(inputs, outputs, classifier);
  }
}

}  // namespace

void add_classify(CLI::App& app) {
  auto flags = std::make_shared<ClassifyFlags>();
  CLI::App& command = *app.add_subcommand("classify", "The label of a text, and the probability of every label");
  flags->add_to(command);
  CLI::Option* labels = command
                            .add_option("--labels", flags->zero_shot.labels,
                                        "Labels of your own, separated by commas (the model must be one for natural language inference)")
                            ->delimiter(',');
  command
      .add_option("--hypothesis-template", flags->zero_shot.hypothesis,
                  "With --labels: the sentence that is judged, {} stands for the label")
      ->capture_default_str()
      ->needs(labels);
  command.add_flag("--multi-label", flags->zero_shot.multi_label, "With --labels: each label by itself, not one of them")->needs(labels);
  command.footer("Example: citius classify sentiment-model 'A film to remember.' --json");
  command.callback([flags] { run_classify(*flags); });
}

}  // namespace citius::cli
