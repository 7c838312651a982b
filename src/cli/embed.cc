// `citius embed`: one vector a text.
#include <fmt/format.h>

#include "base/log.h"
#include "cli/commands.h"
#include "cli/text_task.h"
#include "runtime/embedder.h"

namespace citius::cli {
namespace {

struct EmbedFlags : TextTaskFlags {
  EmbedderOptions embedder;
};

// Texts are taken as they arrive, up to this many at a time: enough to fill a batch, few enough to show progress.
constexpr size_t kRows = 256;

std::string plain_row(std::span<const float> embedding) {
  std::string text;
  for (float value : embedding) text += fmt::format("{}{}", text.empty() ? "" : " ", value);
  return text;
}

void run_embed(EmbedFlags& flags) {
  Outputs outputs(flags.output, /*embeddings=*/true);
  Inputs inputs(flags.input);
  Engine engine = flags.model.open();
  flags.embedder.max_length = flags.task.max_length;
  Embedder embedder(engine, flags.embedder);
  if (embedder.pooling_assumed()) {
    log_warning("the model does not say how the states of a text's tokens become one vector: their mean is taken; --pooling names a way");
  }
  outputs.set_width(static_cast<size_t>(embedder.dimensions()));
  const bool plain = !flags.output.json && flags.output.output.empty();
  answer_texts(inputs, outputs, "embed", kRows, embedder.max_length(), [&](std::span<const InputRow> rows) {
    std::vector<std::vector<float>> vectors = embedder.embed(texts_of(rows));
    std::vector<TextAnswer> answers;
    for (size_t i = 0; i < vectors.size(); ++i) {
      answers.push_back({{}, plain ? plain_row(vectors[i]) : "", embedder.truncated()[i], std::move(vectors[i])});
    }
    return answers;
  });
}

}  // namespace

void add_embed(CLI::App& app) {
  auto flags = std::make_shared<EmbedFlags>();
  CLI::App& command = *app.add_subcommand("embed", "Texts to vectors");
  flags->add_to(command);
  command
      .add_option("--pooling", flags->embedder.pooling,
                  "How a text's tokens become one vector: mean, cls, lasttoken, max, weightedmean or mean_sqrt_len_tokens (default: what "
                  "the model says, or mean)")
      ->check(CLI::IsMember({"mean", "cls", "lasttoken", "max", "weightedmean", "mean_sqrt_len_tokens"}));
  command.add_option("--dimensions", flags->embedder.dimensions, "Keep the first N dimensions")->check(CLI::Range(1, 1 << 20));
  command.add_flag("--normalize", flags->embedder.normalize, "Divide by the length, also where the model does not ask for it");
  command.footer("Example: citius embed all-minilm --input sentences.txt --output vectors.npy");
  command.callback([flags] { run_embed(*flags); });
}

}  // namespace citius::cli
