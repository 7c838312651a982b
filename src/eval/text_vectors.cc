#include "eval/text_vectors.h"

#include <algorithm>

#include "base/error.h"
#include "runtime/embedder.h"

namespace citius {
namespace {

std::vector<std::vector<float>> embeddings(Engine& engine, std::span<const EncodedText> texts, const OnProgress& progress) {
  constexpr size_t kChunk = 64;  // between two reports of progress
  Embedder embedder(engine);
  std::vector<std::vector<float>> vectors;
  for (size_t begin = 0; begin < texts.size(); begin += kChunk) {
    std::vector<std::string> chunk;
    for (const EncodedText& text : texts.subspan(begin, std::min(kChunk, texts.size() - begin))) chunk.push_back(text.text);
    for (std::vector<float>& vector : embedder.embed(chunk)) vectors.push_back(std::move(vector));
    if (progress) progress(static_cast<double>(vectors.size()) / static_cast<double>(texts.size()));
  }
  return vectors;
}

}  // namespace

std::vector<EncodedText> encode_texts(const Engine& engine, std::span<const std::string> texts, int64_t max_length) {
  if (engine.tokenizer == nullptr) fail_input(engine.checkpoint.path.string(), "has no tokenizer");
  const int64_t limit = engine.model().config().max_positions;
  EncodeOptions options;
  options.truncation = Truncation{static_cast<size_t>(max_length > 0 ? std::min(max_length, limit) : limit)};
  std::vector<EncodedText> encoded;
  for (const std::string& text : texts) {
    Encoding encoding = engine.tokenizer->encode(text, options);
    if (encoding.ids.empty()) continue;
    encoded.push_back({text, std::move(encoding.ids), std::move(encoding.type_ids)});
  }
  return encoded;
}

std::vector<std::vector<float>> text_vectors(Engine& engine, std::span<const EncodedText> texts, const OnProgress& progress) {
  if (engine.tokenizer != nullptr && std::all_of(texts.begin(), texts.end(), [](const EncodedText& text) { return !text.text.empty(); })) {
    return embeddings(engine, texts, progress);
  }
  std::vector<EncoderInput> inputs;
  for (const EncodedText& text : texts) inputs.push_back({text.tokens, text.token_types});
  std::vector<std::vector<float>> vectors(texts.size());
  Encoder encoder(engine);
  encoder.run(inputs, [&](const ForwardContext&, size_t index, const TensorView& hidden) {
    const auto channels = static_cast<size_t>(hidden.shape[1]);
    std::vector<double> sum(channels);
    for (int64_t t = 0; t < hidden.rows(); ++t) {
      const float* row = hidden.row(t);
      for (size_t c = 0; c < channels; ++c) sum[c] += row[c];
    }
    for (double value : sum) vectors[index].push_back(static_cast<float>(value / static_cast<double>(hidden.rows())));
    if (progress) progress(static_cast<double>(index + 1) / static_cast<double>(texts.size()));
  });
  return vectors;
}

}  // namespace citius
