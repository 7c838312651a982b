// `citius fill-mask`: the likeliest tokens for each mask of a text.
#include <fmt/format.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/commands.h"
#include "cli/counted.h"
#include "cli/text_task.h"
#include "runtime/tasks.h"

namespace citius::cli {
namespace {

struct FillMaskFlags : TextTaskFlags {
  size_t top_k = 5;
  bool scores = false;  // as text, every token with its score
};

constexpr size_t kRows = 64;

// As text: the best tokens side by side, or where --top-k is given every token and its score, one mask after the other: each on a line
// where there is one text, all on one line where many texts have a line each.
TextAnswer answer_of(const MaskFills& result, bool scores, bool single) {
  TextAnswer answer;
  json::array masks;
  for (const std::vector<MaskFill>& fills : result.masks) {
    json::array list;
    for (const MaskFill& fill : fills) {
      list.push_back(
          json::object{{"token", fill.token}, {"token_text", fill.token_text}, {"score", fill.score}, {"sequence", fill.sequence}});
      if (scores)
        answer.plain += fmt::format("{}{}\t{:.4f}", answer.plain.empty() ? "" : single ? "\n" : "\t", fill.token_text, fill.score);
    }
    masks.push_back(std::move(list));
    if (!scores) answer.plain += fmt::format("{}{}", answer.plain.empty() ? "" : "\t", fills.empty() ? "" : fills[0].token_text);
  }
  answer.fields["masks"] = std::move(masks);
  return answer;
}

void run_fill_mask(const FillMaskFlags& flags) {
  Outputs outputs(flags.output, /*embeddings=*/false);
  Inputs inputs(flags.input);
  Engine engine = flags.model.open();
  MaskFiller filler(engine, flags.top_k, flags.task);
  size_t without = 0;
  answer_texts(inputs, outputs, "fill-mask", kRows, /*max_length=*/0, [&](std::span<const InputRow> rows) {
    std::vector<TextAnswer> answers;
    for (const MaskFills& result : filler.fill(texts_of(rows))) {
      if (result.masks.empty() && inputs.single()) {
        fail_input("text", "has no mask; write {} where a word is to be found", filler.mask_token());
      }
      without += result.masks.empty();
      answers.push_back(answer_of(result, flags.scores, inputs.single()));
    }
    return answers;
  });
  if (without > 0) {
    log_note("{} no mask; write {} where a word is to be found", counted(without, "input has", "inputs have"), filler.mask_token());
  }
}

}  // namespace

void add_fill_mask(CLI::App& app) {
  auto flags = std::make_shared<FillMaskFlags>();
  CLI::App& command = *app.add_subcommand("fill-mask", "The likeliest tokens for each mask of a text");
  flags->add_to(command);
  const CLI::Option* top_k = command
                                 .add_option("--top-k", flags->top_k,
                                             "Tokens for each mask; text shows the best, or all with scores where this is given and over 1")
                                 ->check(CLI::Range(1, 1 << 20))
                                 ->capture_default_str();
  command.footer("Example: citius fill-mask bert-base-uncased 'Paris is the [MASK] of France.' --json");
  command.callback([flags, top_k] {
    flags->scores = top_k->count() > 0 && flags->top_k > 1;
    run_fill_mask(*flags);
  });
}

}  // namespace citius::cli
