// `citius embed`: one vector a text.
#include <fmt/format.h>

#include <cstdio>

#include "cli/commands.h"
#include "cli/inputs.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"
#include "runtime/embedder.h"

namespace citius::cli {
namespace {

struct EmbedFlags {
  ModelFlags model;
  InputOptions input;
  OutputOptions output;
  EmbedderOptions embedder;
};

// Texts are taken as they arrive, up to this many at a time: enough to fill a batch, few enough to show progress.
constexpr size_t kRows = 256;

std::string plain_row(std::span<const float> embedding) {
  std::string text;
  for (float value : embedding) text += fmt::format("{}{}", text.empty() ? "" : " ", value);
  return text;
}

void run_embed(const EmbedFlags& flags) {
  Outputs outputs(flags.output, /*embeddings=*/true);
  Inputs inputs(flags.input);
  Engine engine = flags.model.open();
  Embedder embedder(engine, flags.embedder);
  size_t truncated = 0, count = 0;
  for (std::vector<InputRow> rows = inputs.next_batch(kRows); !rows.empty(); rows = inputs.next_batch(kRows)) {
    std::vector<std::string> texts;
    for (InputRow& row : rows) texts.push_back(std::move(row.text));
    const std::vector<std::vector<float>> vectors = embedder.embed(texts);
    for (size_t i = 0; i < vectors.size(); ++i) {
      const std::string plain = flags.output.json || !flags.output.output.empty() ? "" : plain_row(vectors[i]);
      outputs.write({{}, plain, vectors[i]});
      truncated += embedder.truncated()[i] > 0;
    }
    count += rows.size();
  }
  outputs.finish();
  if (truncated > 0) {
    std::fprintf(stderr, "citius: %zu of %zu texts were cut to %lld tokens\n", truncated, count,
                 static_cast<long long>(embedder.max_length()));
  }
}

}  // namespace

void add_embed(CLI::App& app) {
  auto flags = std::make_shared<EmbedFlags>();
  CLI::App& command = *app.add_subcommand("embed", "Texts to vectors");
  flags->model.add_to(command);
  add_input_options(command, flags->input);
  add_output_options(command, flags->output);
  command.add_option("--dimensions", flags->embedder.dimensions, "Keep the first N dimensions")->check(CLI::Range(1, 1 << 20));
  command.add_flag("--normalize", flags->embedder.normalize, "Divide by the length, also where the model does not ask for it");
  command.add_option("--max-length", flags->embedder.max_length, "Tokens a text may have (default: what the model says)")
      ->check(CLI::Range(1, 1 << 24));
  command.footer("Example: citius embed all-minilm --input sentences.txt --output vectors.npy");
  command.callback([flags] { run_embed(*flags); });
}

}  // namespace citius::cli
