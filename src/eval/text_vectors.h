// One vector a text, as an encoder's quality is judged by it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/language_model.h"
#include "runtime/encoder.h"

namespace citius {

/// Ids of one text, special tokens included.
struct EncodedText {
  std::vector<int32_t> tokens;
  std::vector<int32_t> token_types;
};

/// Encodes texts, cut to `max_length` tokens (0: what the model takes).
std::vector<EncodedText> encode_texts(const Engine& engine, std::span<const std::string> texts, int64_t max_length = 0);

/// The mean of the hidden states of each text. The direction of the mean moves with every token's state, whatever pooling
/// the model's user applies, and needs no head.
std::vector<std::vector<float>> text_vectors(Engine& engine, std::span<const EncodedText> texts,
                                             const OnProgress& progress = {});

}  // namespace citius
