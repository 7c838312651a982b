// One vector a text, as an encoder's quality is judged by it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/language_model.h"
#include "runtime/encoder.h"

namespace citius {

/// One text and its ids, special tokens included. The text may be empty where only ids are known.
struct EncodedText {
  std::string text;
  std::vector<int32_t> tokens;
  std::vector<int32_t> token_types;
};

/// Encodes texts, cut to `max_length` tokens (0: what the model takes).
std::vector<EncodedText> encode_texts(const Engine& engine, std::span<const std::string> texts, int64_t max_length = 0);

/// The embedding of each text, as the model's user gets it (runtime/embedder.h). Where only ids are known, the mean of the
/// hidden states, whose direction moves with every token's state.
std::vector<std::vector<float>> text_vectors(Engine& engine, std::span<const EncodedText> texts, const OnProgress& progress = {});

}  // namespace citius
