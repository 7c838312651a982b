#include "eval/language_model.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace citius {

LanguageModel::LanguageModel(Engine& engine, int64_t longest)
    : engine_(engine), decoder_(engine, longest), compute_(engine.options.compute) {
  if (longest > decoder_.max_length()) {
    fail_input("context", "got {} tokens, expected at most {} (what the model takes)", longest, decoder_.max_length());
  }
}

HiddenRows LanguageModel::run(const ScoredSequence& sequence) {
  ComputeScope scope(engine_, compute_);
  const int32_t id = decoder_.create();
  HiddenRows result;
  result.rows = sequence.num_scored();
  const auto channels = static_cast<size_t>(engine_.model().config().hidden_size);
  result.values.resize(static_cast<size_t>(result.rows) * channels);
  const std::span<const int32_t> tokens = std::span(sequence.tokens).first(sequence.tokens.size() - 1);
  for (int64_t begin = 0; begin < std::ssize(tokens); begin += Decoder::kChunk) {
    const int64_t count = std::min(Decoder::kChunk, std::ssize(tokens) - begin);
    const Decoder::Step step{id, tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(count))};
    const TensorView hidden = decoder_.forward({&step, 1});  // [count, C]
    for (int64_t i = std::max<int64_t>(0, sequence.first_scored - 1 - begin); i < count; ++i) {
      const auto row = static_cast<size_t>(begin + i - (sequence.first_scored - 1));
      std::memcpy(result.values.data() + row * channels, hidden.row(i), channels * sizeof(float));
    }
  }
  decoder_.release(id);
  return result;
}

TensorView LanguageModel::logits(const HiddenRows& hidden, int64_t first, int64_t count) {
  ComputeScope scope(engine_, compute_);
  const int64_t channels = engine_.model().config().hidden_size;
  const TensorView view(const_cast<float*>(hidden.values.data()), DType::kF32, {hidden.rows, channels});
  std::vector<int64_t> rows(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) rows[static_cast<size_t>(i)] = first + i;
  return decoder_.logits(view, rows);
}

int64_t longest(std::span<const ScoredSequence> sequences) {
  int64_t length = 1;
  for (const ScoredSequence& sequence : sequences) length = std::max(length, static_cast<int64_t>(sequence.tokens.size()));
  return length;
}

int32_t leading_bos(const Tokenizer& tokenizer) {
  const std::vector<int32_t> ids = tokenizer.encode_ids("a", /*add_special_tokens=*/true);
  const int32_t bos = tokenizer.special().bos;
  return bos >= 0 && ids.size() > 1 && ids.front() == bos ? bos : -1;
}

std::vector<int32_t> encode_text(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<int32_t> ids = tokenizer.encode_ids(text, /*add_special_tokens=*/false);
  const int32_t bos = leading_bos(tokenizer);
  if (bos >= 0) ids.insert(ids.begin(), bos);
  return ids;
}

}  // namespace citius
