// `citius run`: raw completion of a prompt, or of every line of a file.
#include <cstdio>

#include "base/error.h"
#include "base/signal.h"
#include "cli/commands.h"
#include "cli/generation_flags.h"
#include "cli/inputs.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"

namespace citius::cli {
namespace {

struct RunFlags {
  ModelFlags model;
  GenerationFlags generation;
  InputOptions input;
  OutputOptions output;
  bool echo_text = false;
};

// Prompts that are answered together.
constexpr size_t kRows = 16;

void run_run(RunFlags& flags) {
  Outputs outputs(flags.output, /*embeddings=*/false);
  Inputs inputs(flags.input);
  Engine engine = flags.model.open();
  if (engine.tokenizer == nullptr) fail_input(flags.model.model, "has no tokenizer");
  Generator generator(engine);
  const bool streams = inputs.single() && !flags.output.json && flags.output.output.empty();
  for (std::vector<InputRow> rows = inputs.next_batch(kRows); !rows.empty(); rows = inputs.next_batch(kRows)) {
    std::vector<GenerationRequest> requests;
    for (const InputRow& row : rows) requests.push_back(flags.generation.request(engine, engine.tokenizer->encode_ids(row.text)));
    const std::vector<GenerationResult> results = generator.generate(requests, [&](size_t, const std::string& piece) {
      if (streams) print(piece);
      return !interrupted();
    });
    if (interrupted()) fail(ErrorKind::kInterrupted, "run", "interrupted");
    for (size_t i = 0; i < results.size(); ++i) {
      if (!streams) outputs.write({to_json(engine, requests[i], results[i]), results[i].text, {}});
    }
    if (streams) {
      print("\n");
      std::fprintf(stderr, "%zu prompt tokens in %.0f ms, %zu tokens in %.0f ms\n", requests[0].prompt.size(), results[0].prefill_ms,
                   results[0].tokens.size(), results[0].decode_ms);
    }
  }
  outputs.finish();
}

}  // namespace

void add_run(CLI::App& app) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App& command = *app.add_subcommand("run", "Complete a prompt as it stands, without a chat template");
  flags->model.add_to(command);
  flags->model.add_decoder_flags_to(command);
  add_input_options(command, flags->input);
  command.add_option_function<std::string>(
      "--prompt", [flags](const std::string& prompt) {
        flags->input.text = prompt;
        flags->input.has_text = true;
      }, "The prompt (the same as the text argument)");
  add_output_options(command, flags->output);
  flags->generation.add_to(command);
  command.footer("Example: citius run smollm2 --prompt 'The capital of France is' --max-tokens 16 --temperature 0");
  command.callback([flags] { run_run(*flags); });
}

}  // namespace citius::cli
