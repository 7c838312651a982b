// `citius chat`: a conversation under the model's chat template; interactive on a terminal.
#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "base/signal.h"
#include "cli/commands.h"
#include "cli/generation_flags.h"
#include "cli/inputs.h"
#include "cli/model_flags.h"
#include "cli/outputs.h"
#include "cli/text_task.h"
#include "io/gguf.h"
#include "tokenizer/chat_template.h"

namespace citius::cli {
namespace {

struct ChatFlags {
  ModelFlags model;
  GenerationFlags generation;
  InputOptions input;
  OutputOptions output;
  std::string system;
};

std::string token_text(const Tokenizer& tokenizer, int32_t id) { return id < 0 ? "" : tokenizer.id_to_token(id); }

std::optional<ChatTemplate> open_template(const Engine& engine) {
  if (!engine.checkpoint.is_gguf()) return ChatTemplate::from_directory(engine.checkpoint.path);
  const std::optional<std::string> source = engine.checkpoint.gguf->get_string("tokenizer.chat_template");
  if (!source) return std::nullopt;
  const SpecialIds& special = engine.tokenizer->special();
  return ChatTemplate(*source, token_text(*engine.tokenizer, special.bos), token_text(*engine.tokenizer, special.eos));
}

class Chat {
 public:
  Chat(const ChatFlags& flags, Engine& engine) : flags_(flags), engine_(engine), template_(open_template(engine)), generator_(engine) {
    if (!template_) {
      fail_input(flags.model.model, "has no chat template; `citius run` completes a prompt without one");
    }
    reset();
  }

  void reset() {
    messages_.clear();
    if (!flags_.system.empty()) messages_.push_back({{"role", "system"}, {"content", flags_.system}});
  }

  /// Forgets a message that got no reply.
  void take_back() { messages_.pop_back(); }

  /// Adds the user's message and the reply.
  json::object say(const std::string& text, bool stream) {
    messages_.push_back({{"role", "user"}, {"content", text}});
    const std::string prompt = template_->render(messages_, /*add_generation_prompt=*/true);
    // The template writes the special tokens itself.
    const GenerationRequest request =
        flags_.generation.request(engine_, engine_.tokenizer->encode_ids(prompt, /*add_special_tokens=*/false));
    const GenerationResult result = generator_.generate({&request, 1}, [&](size_t, const std::string& piece) {
      if (stream) print(piece);
      return !interrupted();
    })[0];
    messages_.push_back({{"role", "assistant"}, {"content", result.text}});
    return to_json(engine_, request, result);
  }

 private:
  const ChatFlags& flags_;
  Engine& engine_;
  std::optional<ChatTemplate> template_;
  Generator generator_;
  json::array messages_;
};

// What does not fit any more is told, and the conversation stays as it was before.
void answer(Chat& chat, const std::string& line) {
  try {
    const json::object reply = chat.say(line, /*stream=*/true);
    print("\n");
    if (!take_ctrl_c()) check_interrupted();
    if (reply.at("finish_reason") == "length") std::fprintf(stderr, "(cut at the length limit)\n");
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    chat.take_back();
    std::fprintf(stderr, "citius: %s; /reset begins anew\n", error.what());
  }
}

void converse(Chat& chat) {
  std::fprintf(stderr, "/reset begins anew, Ctrl-C stops a reply, /quit or Ctrl-D ends\n");
  for (std::string line; std::fprintf(stderr, "> "), std::getline(std::cin, line);) {
    if (line == "/quit") return;
    if (line == "/reset") {
      chat.reset();
    } else if (line.starts_with('/')) {
      std::fprintf(stderr, "got '%s', expected /reset or /quit\n", line.c_str());
    } else if (!line.empty()) {
      answer(chat, line);
    }
  }
  std::fprintf(stderr, "\n");
  check_interrupted();
}

void run_chat(const ChatFlags& flags) {
  flags.generation.check_shown(flags.output);
  Outputs outputs(flags.output, /*embeddings=*/false);
  Engine engine = flags.model.open();
  if (engine.tokenizer == nullptr) fail_input(flags.model.model, "has no tokenizer");
  flags.generation.warn_of_ignored(engine);
  Chat chat(flags, engine);
  const bool interactive = !flags.input.has_text && flags.input.input.empty() && ::isatty(STDIN_FILENO) && !flags.output.json;
  if (interactive && !flags.output.output.empty()) {
    fail(ErrorKind::kUsage, "--output", "got it in a terminal; expected a text, --input or another standard input with it");
  }
  if (interactive) return converse(chat);
  Inputs inputs(flags.input);
  if (inputs.single() && !flags.output.json && flags.output.output.empty()) {
    chat.say(flags.input.text, /*stream=*/true);
    check_interrupted();
    return print("\n");
  }
  answer_texts(inputs, outputs, "chat", /*batch_rows=*/1, /*max_length=*/0, [&](std::span<const InputRow> rows) {
    chat.reset();  // every input is a conversation of its own
    json::object reply = chat.say(rows[0].text, /*stream=*/false);
    std::string text(reply.at("text").as_string());
    return std::vector<TextAnswer>{{std::move(reply), std::move(text), 0, {}}};
  });
}

}  // namespace

void add_chat(CLI::App& app) {
  auto flags = std::make_shared<ChatFlags>();
  flags->generation.max_tokens = 512;
  CLI::App& command = *app.add_subcommand("chat", "Talk to a model under its chat template");
  flags->model.add_to(command);
  flags->model.add_decoder_flags_to(command);
  add_input_options(command, flags->input);
  add_output_options(command, flags->output);
  flags->generation.add_to(command);
  command.add_option("--system", flags->system, "System message");
  command.footer("Example: citius chat smollm2 'What is the capital of France?' --temperature 0");
  command.callback([flags] { run_chat(*flags); });
}

}  // namespace citius::cli
