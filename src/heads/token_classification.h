// From the logits of tokens to entities, with the aggregations of transformers' TokenClassificationPipeline.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace citius {

enum class Aggregation {
  kNone,     // every token by itself
  kSimple,   // neighbours of one kind become one entity
  kFirst,    // a word has the label of its first token
  kAverage,  // of its tokens' mean scores
  kMax,      // of its most certain token
};
/// nullopt for an unknown name.
std::optional<Aggregation> parse_aggregation(std::string_view name);

/// One token of the text; special tokens are left out by the caller.
struct TokenScores {
  std::vector<double> scores;  // [labels], probabilities
  int32_t begin = 0;           // offsets into the text
  int32_t end = 0;
  bool is_subword = false;  // continues the word of the token before it
};

struct Entity {
  std::string label;  // kNone: as the model names it (B-LOC); otherwise without B- and I-
  double score = 0;
  int32_t begin = 0;
  int32_t end = 0;
};

/// Entities in order of the text, those labelled "O" left out.
std::vector<Entity> find_entities(std::span<const TokenScores> tokens, std::span<const std::string> labels, Aggregation aggregation);

/// Joins the entities of overlapping windows of one text: of two that overlap the longer stays, or the more certain.
std::vector<Entity> merge_windows(std::vector<Entity> entities);

}  // namespace citius
