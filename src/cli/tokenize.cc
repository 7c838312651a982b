// `citius tokenize`: texts to token ids with offsets, and ids back to text. Needs the tokenizer alone, no weights.
#include <fmt/format.h>

#include <charconv>
#include <filesystem>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/inputs.h"
#include "cli/outputs.h"
#include "io/checkpoint.h"
#include "runtime/load_tokenizer.h"
#include "store/store.h"

namespace citius::cli {
namespace {

struct TokenizeFlags {
  std::string model;
  InputOptions input;
  OutputOptions output;
  bool no_special_tokens = false;
  std::vector<int32_t> ids;
  bool decode = false;
};

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& name) {
  const std::filesystem::path path = resolve_model(name);
  const StartCache cache(cache_directory());
  if (std::filesystem::is_directory(path) && has_tokenizer_files(path)) return cache.open(Tokenizer::source(path));
  std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(open_checkpoint(path), cache);
  if (tokenizer == nullptr) fail_input(path.string(), "has no tokenizer");
  return tokenizer;
}

int32_t parse_id(const std::string& text) {
  int32_t id = 0;
  const char* const end = text.data() + text.size();
  if (const auto [at, error] = std::from_chars(text.data(), end, id); error != std::errc() || at != end) {
    fail(ErrorKind::kUsage, "--decode", "got '{}', expected token ids, for example 101,7592", text);
  }
  return id;
}

json::array spans(const std::vector<TextSpan>& list) {
  json::array out;
  for (const TextSpan& span : list) out.push_back(json::array{span.begin, span.end});
  return out;
}

OutputRow row_of(const Tokenizer& tokenizer, const Encoding& encoding, std::string& plain) {
  json::array ids, tokens;
  plain.clear();
  for (const int32_t id : encoding.ids) {
    ids.push_back(id);
    tokens.push_back(json::string(tokenizer.id_to_token(id)));
    plain += fmt::format("{}{}", plain.empty() ? "" : " ", id);
  }
  OutputRow row;
  row.fields["ids"] = std::move(ids);
  row.fields["tokens"] = std::move(tokens);
  row.fields["offsets"] = spans(encoding.offsets);
  row.fields["byte_offsets"] = spans(encoding.byte_offsets);
  row.plain = plain;
  return row;
}

void run_tokenize(const TokenizeFlags& flags) {
  Outputs outputs(flags.output, /*embeddings=*/false);
  const std::unique_ptr<Tokenizer> tokenizer = open_tokenizer(flags.model);
  if (flags.decode) {
    if (flags.input.has_text || !flags.input.input.empty() || !flags.input.text_column.empty()) {
      fail(ErrorKind::kUsage, "tokenize", "--decode takes its ids from the command line; leave out the text, --input and --text-column");
    }
    const std::string text = tokenizer->decode(flags.ids, /*skip_special=*/flags.no_special_tokens);
    outputs.write({{{"text", text}}, text, {}});
    outputs.finish();
    return;
  }
  Inputs inputs(flags.input);
  outputs.check_apart(inputs.where());
  EncodeOptions options;
  options.add_special_tokens = !flags.no_special_tokens;
  std::string plain;
  for (InputRow row; inputs.next(row);) outputs.write(row_of(*tokenizer, tokenizer->encode(row.text, options), plain));
  outputs.finish();
}

}  // namespace

void add_tokenize(CLI::App& app) {
  auto flags = std::make_shared<TokenizeFlags>();
  CLI::App& command = *app.add_subcommand("tokenize", "Text to token ids with offsets, or ids back to text");
  command.add_option("MODEL", flags->model, "Directory, .gguf file, package, or name in the store")->required();
  add_input_options(command, flags->input);
  add_output_options(command, flags->output);
  command.add_flag("--no-special-tokens", flags->no_special_tokens,
                   "Do not add [CLS], <s> and the like; with --decode, leave special tokens out of the text");
  command
      .add_option_function<std::vector<std::string>>(
          "--decode",
          [flags](const std::vector<std::string>& ids) {
            for (const std::string& id : ids) flags->ids.push_back(parse_id(id));
            flags->decode = true;
          },
          "Ids to turn back into text, separated by commas")
      ->delimiter(',')
      ->type_name("INT");
  command.footer("Example: citius tokenize all-minilm 'Hello world' --json");
  command.callback([flags] { run_tokenize(*flags); });
}

}  // namespace citius::cli
