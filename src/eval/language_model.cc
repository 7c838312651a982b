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
  const Decoder::Step step{id, std::span(sequence.tokens).first(sequence.tokens.size() - 1)};
  const TensorView hidden = decoder_.forward({&step, 1});
  decoder_.release(id);
  HiddenRows result;
  result.rows = sequence.num_scored();
  const auto channels = static_cast<size_t>(hidden.shape[1]);
  result.values.resize(static_cast<size_t>(result.rows) * channels);
  for (int64_t i = 0; i < result.rows; ++i) {
    std::memcpy(result.values.data() + static_cast<size_t>(i) * channels, hidden.row(sequence.first_scored - 1 + i),
                channels * sizeof(float));
  }
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
