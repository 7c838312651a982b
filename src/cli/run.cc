// `citius run`: raw completion of a prompt, or of every line of a file.
#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/signal.h"
#include "cli/commands.h"
#include "cli/counted.h"
#include "cli/generation_flags.h"
#include "cli/inputs.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"
#include "cli/text_task.h"

namespace citius::cli {
namespace {

struct RunFlags {
  ModelFlags model;
  GenerationFlags generation;
  InputOptions input;
  OutputOptions output;
};

// Prompts that are answered together.
constexpr size_t kRows = 16;

// Text as it comes.
void stream(const RunFlags& flags, const Engine& engine, Generator& generator) {
  const GenerationRequest request = flags.generation.request(engine, engine.tokenizer->encode_ids(flags.input.text));
  const GenerationResult result = generator.generate({&request, 1}, [&](size_t, const std::string& piece) {
    print(piece);
    return !interrupted();
  })[0];
  check_interrupted();
  print("\n");
  const bool cut = result.finish_reason == "length" && std::ssize(result.tokens) < request.max_tokens;
  std::fprintf(stderr, "%s in %.0f ms, %s in %.0f ms%s\n", counted(request.prompt.size(), "prompt token", "prompt tokens").c_str(),
               result.prefill_ms, counted(result.tokens.size(), "token", "tokens").c_str(), result.decode_ms,
               cut ? ", cut at the end of the context" : "");
}

// A single reply that is printed at its end.
std::vector<GenerationResult> answer_one(const GenerationRequest& request, Generator& generator) {
  Progress progress("tokens", static_cast<uint64_t>(request.max_tokens));
  uint64_t pieces = 0;  // of text, nearly one a token
  return generator.generate({&request, 1}, [&](size_t, const std::string&) {
    progress.update(std::min(++pieces, static_cast<uint64_t>(request.max_tokens)));
    return !interrupted();
  });
}

// A blank line has a result too: where the tokenizer adds no first token, there is nothing to go on from, and the reply
// is empty.
std::vector<GenerationResult> answer(std::span<const GenerationRequest> requests, Generator& generator, size_t& num_empty) {
  std::vector<GenerationRequest> full;
  for (const GenerationRequest& request : requests) {
    if (!request.prompt.empty()) full.push_back(request);
  }
  std::vector<GenerationResult> answered = generator.generate(full, [](size_t, const std::string&) { return !interrupted(); });
  std::vector<GenerationResult> results(requests.size());
  for (size_t i = 0, next = 0; i < requests.size(); ++i) {
    if (!requests[i].prompt.empty()) {
      results[i] = std::move(answered[next++]);
    } else {
      results[i].finish_reason = "stop";
      ++num_empty;
    }
  }
  return results;
}

void run_run(const RunFlags& flags) {
  flags.generation.check_shown(flags.output);
  Outputs outputs(flags.output, /*embeddings=*/false);
  Inputs inputs(flags.input);
  Engine engine = flags.model.open();
  if (engine.tokenizer == nullptr) fail_input(flags.model.model, "has no tokenizer");
  flags.generation.warn_of_ignored(engine);
  Generator generator(engine, {.sequences = inputs.single() ? 1 : static_cast<int64_t>(kRows)});
  if (inputs.single() && !flags.output.json && flags.output.output.empty()) return stream(flags, engine, generator);
  size_t num_empty = 0;
  answer_texts(inputs, outputs, "run", kRows, /*max_length=*/0, [&](std::span<const InputRow> rows) {
    std::vector<GenerationRequest> requests;
    for (const InputRow& row : rows) {
      requests.push_back(flags.generation.request(engine, engine.tokenizer->encode_ids(row.text)));
    }
    const std::vector<GenerationResult> results =
        inputs.single() ? answer_one(requests[0], generator) : answer(requests, generator, num_empty);
    std::vector<TextAnswer> answers;
    for (size_t i = 0; i < results.size(); ++i) {
      answers.push_back({to_json(engine, requests[i], results[i]), results[i].text, 0, {}});
    }
    return answers;
  });
  if (num_empty > 0) {
    log_note("{}, because the tokenizer adds no beginning token",
             counted(num_empty, "empty prompt has an empty reply", "empty prompts have empty replies"));
  }
}

}  // namespace

void add_run(CLI::App& app) {
  auto flags = std::make_shared<RunFlags>();
  CLI::App& command = *app.add_subcommand("run", "Complete a prompt as it stands, without a chat template");
  flags->model.add_to(command);
  flags->model.add_decoder_flags_to(command);
  add_input_options(command, flags->input);
  command.add_option_function<std::string>(
      "--prompt",
      [flags](const std::string& prompt) {
        if (flags->input.has_text) fail(ErrorKind::kUsage, "--prompt", "got a text argument too; expected one of the two");
        flags->input.text = prompt;
        flags->input.has_text = true;
      },
      "The prompt (the same as the text argument)");
  add_output_options(command, flags->output);
  flags->generation.add_to(command);
  command.footer("Example: citius run smollm2 --prompt 'The capital of France is' --max-tokens 16 --temperature 0");
  command.callback([flags] { run_run(*flags); });
}

}  // namespace citius::cli
