// The text on which models are judged. A search has one part of it to choose by and another, never looked at while choosing,
// to verify; a comparison of two models has it whole.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "eval/quality.h"

namespace citius {

struct ItemOptions {
  std::vector<std::string> texts;  // given by the user; empty: sampled from the model, or the built-in sentences
  bool plain = false;              // the one text is a whole file: for encoders each line of it is a text
  uint64_t seed = 0;
  bool split = true;                    // into two parts of different items in random order; otherwise all, as they come
  int64_t window = 256;                 // tokens of a language model's window
  int64_t num_windows = 32;             // at most
  int64_t num_texts = 1000;             // of encoders, at most
  std::vector<ScoredSequence> sampled;  // windows that sample_windows gave before; empty: they are sampled now
  std::function<bool()> short_of_time;  // asked between groups of sampled windows: true leaves it at those there are
};

struct ChosenItems {
  QualityItems items;
  size_t num_choose = 0;  // items [0, num_choose) are for choosing, the rest for verifying; all of them without `split`
  std::string source;     // in words, for the report
};

/// Throws Error{kInput} where the texts are too short to make two items of each part, or one without `split`.
ChosenItems make_items(Engine& engine, const ItemOptions& options, const OnProgress& progress = {});

/// Windows of text that the model itself writes at temperature 1. Greedy text would be easier than real text, and a
/// candidate could not be told from its base on it. Window i depends on the seed and i alone; there are fewer than `count`
/// (but kSampledGroup or more) where `short_of_time` said so.
inline constexpr int64_t kSampledGroup = 8;
std::vector<ScoredSequence> sample_windows(Engine& engine, int64_t count, int64_t window, uint64_t seed, const OnProgress& progress = {},
                                           const std::function<bool()>& short_of_time = {});

}  // namespace citius
