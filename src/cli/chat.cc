// `citius chat`: a conversation under the model's chat template; interactive on a terminal.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "base/log.h"
#include "base/signal.h"
#include "cli/commands.h"
#include "cli/counted.h"
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

std::string_view role(const json::value& message) { return message.at("role").as_string(); }

std::string token_text(const Tokenizer& tokenizer, int32_t id) {
  return std::string(id < 0 ? std::string_view() : tokenizer.id_to_token(id));
}

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
  }

  void reset() { messages_.clear(); }

  /// Adds the user's message and the reply. Where they do not fit any more, the conversation stays as it was before.
  json::object say(const std::string& text, bool stream) {
    json::array messages = messages_;
    messages.push_back({{"role", "user"}, {"content", text}});
    return reply_to(std::move(messages), stream);
  }

  /// The reply to a conversation that is given whole, after --system where it has no such message of its own.
  json::object reply_to(json::array messages, bool stream) {
    if (!flags_.system.empty() && role(messages.front()) != "system") {
      messages.insert(messages.begin(), json::object{{"role", "system"}, {"content", flags_.system}});
    }
    const GenerationRequest request = flags_.generation.request(engine_, fitting_prompt(messages));
    const GenerationResult result = generator_.generate({&request, 1}, [&](size_t, const std::string& piece) {
      if (stream) print(piece);
      return !interrupted();
    })[0];
    messages.push_back({{"role", "assistant"}, {"content", result.text}});
    messages_ = std::move(messages);
    cut_by_context_ = result.finish_reason == "length" && std::ssize(result.tokens) < request.max_tokens;
    return to_json(engine_, request, result);
  }

  /// Whether the last reply ended where the context does, before --max-tokens.
  bool cut_by_context() const { return cut_by_context_; }
  int64_t context() { return generator_.decoder().max_length(); }

 private:
  std::vector<int32_t> prompt_of(const json::array& messages) const {
    const std::string prompt = template_->render(messages, /*add_generation_prompt=*/true);
    return engine_.tokenizer->encode_ids(prompt, /*add_special_tokens=*/false);  // the template writes the special tokens itself
  }

  // The prompt of `messages`, without the oldest ones where those leave no room for a reply: a message and all up to the next of the
  // user, but never the system's nor the last.
  std::vector<int32_t> fitting_prompt(json::array& messages) {
    const int64_t quarter = std::max<int64_t>(1, context() / 4), room = std::min(flags_.generation.max_tokens, quarter);
    std::vector<int32_t> prompt = prompt_of(messages);
    size_t dropped = 0;
    if (std::ssize(prompt) + room > context()) {
      const size_t first = role(messages.front()) == "system" ? 1 : 0;
      std::vector<size_t> turns;  // where the conversation may begin: messages of the user, but the first
      for (size_t i = first + 1; i < messages.size(); ++i) {
        if (role(messages[i]) == "user") turns.push_back(i);
      }
      const auto without = [&](size_t turn) {
        json::array rest = messages;
        rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(first), rest.begin() + static_cast<std::ptrdiff_t>(turn));
        return rest;
      };
      // A quarter is freed: what is left has to be read anew, which shall not happen again with every message.
      const auto fits = std::partition_point(turns.begin(), turns.end(), [&](size_t turn) {
        check_interrupted();
        return std::ssize(prompt_of(without(turn))) + quarter > context();
      });
      if (!turns.empty()) {
        const size_t turn = fits == turns.end() ? turns.back() : *fits;
        messages = without(turn);
        dropped = turn - first;
        prompt = prompt_of(messages);
      }
    }
    if (std::ssize(prompt) + std::min<int64_t>(room, 1) > context()) {
      fail_input("chat", "got {} tokens, expected at most {} and room for a reply; shorten the message or raise --context", prompt.size(),
                 context());
    }
    if (dropped > 0) log_note("the context of {} tokens is full: the {} oldest messages are forgotten", context(), dropped);
    return prompt;
  }

  const ChatFlags& flags_;
  Engine& engine_;
  std::optional<ChatTemplate> template_;
  Generator generator_;
  json::array messages_;
  bool cut_by_context_ = false;
};

// Why a reply that has `finish_reason` "length" ended.
std::string why_cut(Chat& chat, int64_t max_tokens) {
  if (!chat.cut_by_context()) return fmt::format("cut at --max-tokens {}", max_tokens);
  return fmt::format("cut at the end of the context, {} tokens", chat.context());
}

// What does not fit any more is told, and the conversation stays as it was before.
void answer(Chat& chat, const ChatFlags& flags, const std::string& line) {
  try {
    const json::object reply = chat.say(line, /*stream=*/true);
    print("\n");
    if (!take_ctrl_c()) check_interrupted();
    if (reply.at("finish_reason") == "length") std::fprintf(stderr, "(%s)\n", why_cut(chat, flags.generation.max_tokens).c_str());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    std::fprintf(stderr, "citius: %s; /clear begins anew\n", error.what());
  }
}

void converse(Chat& chat, const ChatFlags& flags) {
  constexpr const char* kHelp = "/clear (or /reset) begins anew, /help shows this, /exit (or /quit, Ctrl-D) ends, Ctrl-C stops a reply\n";
  std::fputs(kHelp, stderr);
  for (std::string line; std::fprintf(stderr, "> "), std::getline(std::cin, line);) {
    if (line == "/exit" || line == "/quit" || line == "/bye") return;
    if (line == "/clear" || line == "/reset") {
      chat.reset();
    } else if (line == "/help" || line == "/?") {
      std::fputs(kHelp, stderr);
    } else if (line.starts_with('/')) {
      std::fprintf(stderr, "got '%s', expected a command: %s", line.c_str(), kHelp);
    } else if (!line.empty()) {
      answer(chat, flags, line);
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
  if (interactive) return converse(chat, flags);
  Inputs inputs(flags.input);
  if (inputs.single() && !flags.output.json && flags.output.output.empty()) {
    const json::object reply = chat.say(flags.input.text, /*stream=*/true);
    check_interrupted();
    print("\n");
    if (reply.at("finish_reason") == "length") log_note("the reply was {}", why_cut(chat, flags.generation.max_tokens));
    return;
  }
  size_t cut = 0;
  answer_texts(inputs, outputs, "chat", /*batch_rows=*/1, /*max_length=*/0, [&](std::span<const InputRow> rows) {
    chat.reset();  // every input is a conversation of its own
    const bool whole = !rows[0].messages.empty();
    json::object reply = whole ? chat.reply_to(rows[0].messages, /*stream=*/false) : chat.say(rows[0].text, /*stream=*/false);
    cut += chat.cut_by_context();
    std::string text(reply.at("text").as_string());
    return std::vector<TextAnswer>{{std::move(reply), std::move(text), 0, {}}};
  });
  if (cut > 0) log_note("{} cut at the end of the context, {} tokens", counted(cut, "reply was", "replies were"), chat.context());
}

}  // namespace

void add_chat(CLI::App& app) {
  auto flags = std::make_shared<ChatFlags>();
  flags->generation.max_tokens = 512;
  CLI::App& command = *app.add_subcommand("chat", "Talk to a model under its chat template");
  flags->model.add_to(command);
  flags->model.add_decoder_flags_to(command);
  flags->input.messages = true;
  add_input_options(command, flags->input);
  add_output_options(command, flags->output);
  flags->generation.add_to(command);
  command.add_option("--system", flags->system, "System message");
  command.footer(
      "Without a text, on a terminal: a conversation; where it outgrows the context, its oldest messages are forgotten. Every line of\n"
      "--input or standard input is a conversation of its own. A line of a .jsonl file may be a whole one instead of a text:\n"
      "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}]}.\n\n"
      "Example: citius chat smollm2 'What is the capital of France?' --temperature 0");
  command.callback([flags] { run_chat(*flags); });
}

}  // namespace citius::cli
