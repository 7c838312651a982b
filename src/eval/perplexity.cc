#include "eval/perplexity.h"

#include <algorithm>

#include "base/error.h"
#include "metrics/distribution.h"

namespace citius {

std::vector<ScoredSequence> perplexity_windows(const Tokenizer& tokenizer, std::string_view text, const PerplexityOptions& options) {
  if (options.context < 4) fail(ErrorKind::kUsage, "context", "got {}, expected 4 or more tokens", options.context);
  if (options.stride < 0 || options.stride > options.context) {
    fail(ErrorKind::kUsage, "stride", "got {}, expected 1 to the context of {}", options.stride, options.context);
  }
  const std::vector<int32_t> tokens = encode_text(tokenizer, text);
  std::vector<ScoredSequence> windows = options.stride > 0 ? strided_windows(tokens, options.context, options.stride)
                                                           : llama_windows(tokens, options.context, leading_bos(tokenizer));
  if (windows.empty()) {
    fail_input("perplexity", "got a text of {} tokens, expected at least one window of {}; lower --context", tokens.size(),
               options.context);
  }
  if (options.max_windows > 0 && static_cast<int64_t>(windows.size()) > options.max_windows) {
    windows.resize(static_cast<size_t>(options.max_windows));
  }
  return windows;
}

std::vector<double> score_sequences(LanguageModel& model, std::span<const ScoredSequence> sequences, const OnProgress& progress) {
  std::vector<double> sums;
  for (const ScoredSequence& sequence : sequences) {
    const HiddenRows hidden = model.run(sequence);
    std::vector<double> losses(static_cast<size_t>(hidden.rows));
    for (int64_t first = 0; first < hidden.rows; first += LanguageModel::kLogitRows) {
      const int64_t count = std::min(LanguageModel::kLogitRows, hidden.rows - first);
      const TensorView logits = model.logits(hidden, first, count);
      model.engine().backend->threads().parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int32_t target = sequence.tokens[static_cast<size_t>(sequence.first_scored + first + i)];
          losses[static_cast<size_t>(first + i)] = -log_softmax_at({logits.row(i), static_cast<size_t>(logits.shape[1])}, target);
        }
      });
    }
    double sum = 0;
    for (double loss : losses) sum += loss;
    sums.push_back(sum);
    if (progress) progress(static_cast<double>(sums.size()) / static_cast<double>(sequences.size()));
  }
  return sums;
}

PerplexityResult measure_perplexity(Engine& engine, std::string_view text, const PerplexityOptions& options, const OnProgress& progress) {
  if (engine.tokenizer == nullptr) fail_input(engine.checkpoint.path.string(), "has no tokenizer");
  const std::vector<ScoredSequence> windows = perplexity_windows(*engine.tokenizer, text, options);
  LanguageModel model(engine, longest(windows));
  const std::vector<double> losses = score_sequences(model, windows, progress);
  std::vector<double> counts;
  PerplexityResult result;
  for (const ScoredSequence& window : windows) {
    counts.push_back(static_cast<double>(window.num_scored()));
    result.tokens_scored += window.num_scored();
  }
  result.perplexity = exp_estimate(ratio_estimate(losses, counts));
  result.windows = static_cast<int64_t>(windows.size());
  result.protocol = options.stride > 0 ? "huggingface" : "llama-perplexity";
  return result;
}

}  // namespace citius
