// One class a task, text in and results out: classification, zero-shot classification, entities, fill-mask, multiple
// choice, cross-encoder reranking. Results equal those of transformers' pipelines (and of sentence-transformers'
// CrossEncoder). What a text gives does not depend on the texts beside it. `truncated` counts the tokens that did not
// fit.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "heads/classification.h"
#include "heads/masked_lm.h"
#include "heads/token_classification.h"
#include "runtime/task_model.h"

namespace citius {

struct Classification {
  std::string label;  // of the best score
  double score = 0;
  std::vector<std::pair<std::string, double>> scores;  // every label, in the model's order
  size_t truncated = 0;
};

class Classifier {
 public:
  explicit Classifier(Engine& engine, const TaskOptions& options = {});
  std::vector<Classification> classify(std::span<const std::string> texts);
  int64_t max_length() const { return model_.max_length(); }

 private:
  std::vector<std::string> labels_;
  ScoreKind kind_;
  TaskModel model_;
};

struct ZeroShotOptions {
  std::vector<std::string> labels;
  std::string hypothesis = "This example is {}.";
  bool multi_label = false;  // each label by itself, not one of them
};

/// Classifies by labels that the model was not trained for; the model is one for natural language inference.
class ZeroShotClassifier {
 public:
  ZeroShotClassifier(Engine& engine, ZeroShotOptions zero_shot, const TaskOptions& options = {});
  std::vector<Classification> classify(std::span<const std::string> texts);
  int64_t max_length() const { return model_.max_length(); }

 private:
  ZeroShotOptions zero_shot_;
  NliLabels nli_;
  TaskModel model_;
};

struct FoundEntity {
  Entity entity;     // offsets in code points
  std::string text;  // as it stands in the input
};
struct Entities {
  std::vector<FoundEntity> entities;
  size_t truncated = 0;
};

class EntityFinder {
 public:
  /// `overlap`: texts that are too long are read in windows that share so many tokens; 0: they are cut. Throws Error{kUsage}
  /// where windows could not move on, or for an overlap without aggregation (the referee has none either).
  explicit EntityFinder(Engine& engine, Aggregation aggregation, const TaskOptions& options = {}, int64_t overlap = 0);
  std::vector<Entities> find(std::span<const std::string> texts);
  int64_t max_length() const { return model_.max_length(); }

 private:
  std::vector<Encoding> windows_of(const std::string& text) const;
  std::vector<TokenScores> scores_of(const std::string& text, const Encoding& encoding, const TaskLogits& logits) const;
  Entities entities_of(const std::string& text, std::span<const Encoding> windows, std::span<const TaskLogits> logits) const;

  Aggregation aggregation_;
  int64_t overlap_;
  std::vector<std::string> labels_;
  TaskModel model_;
};

struct MaskFill {
  int32_t token = 0;
  double score = 0;
  std::string token_text;
  std::string sequence;  // the whole text with the mask filled
};
struct MaskFills {
  std::vector<std::vector<MaskFill>> masks;  // for each mask of the text, best first
};

class MaskFiller {
 public:
  explicit MaskFiller(Engine& engine, size_t top_k, const TaskOptions& options = {});
  /// Throws Error{kInput} for a text that is too long.
  std::vector<MaskFills> fill(std::span<const std::string> texts);
  std::string mask_token() const;

 private:
  size_t top_k_;
  TaskModel model_;
};

struct Choice {
  size_t index = 0;            // of the likeliest
  std::vector<double> scores;  // probability of each choice
  size_t truncated = 0;        // of the longest pair
};

/// Multiple choice: which of several texts goes with a first one.
class Chooser {
 public:
  explicit Chooser(Engine& engine, const TaskOptions& options = {});
  Choice choose(const std::string& text, std::span<const std::string> choices);
  int64_t max_length() const { return model_.max_length(); }

 private:
  TaskModel model_;
};

/// Scores of documents for a query by a model that reads both at once.
class CrossEncoder {
 public:
  explicit CrossEncoder(Engine& engine, const TaskOptions& options = {});
  std::vector<double> score(const std::string& query, std::span<const std::string> documents);
  int64_t max_length() const { return model_.max_length(); }
  /// For each document of the last call: how many tokens of query and document were cut off.
  const std::vector<size_t>& truncated() const { return truncated_; }

 private:
  RerankScore kind_;
  TaskModel model_;
  std::vector<size_t> truncated_;
};
/// Whether the checkpoint is a cross-encoder: a sequence classifier with one output.
bool is_cross_encoder(const Checkpoint& checkpoint);

}  // namespace citius
