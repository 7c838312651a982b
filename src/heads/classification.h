// From the logits of a sequence classifier to scores of labels; zero-shot classification over an NLI model.
// Pure functions that give what transformers' pipelines give.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/checkpoint.h"

namespace citius {

enum class ScoreKind {
  kSoftmax,  // one label
  kSigmoid,  // each label apart
  kRaw,      // regression
};

std::vector<double> softmax(std::span<const float> logits);
double sigmoid(double x);

/// problem_type decides; without it one label is a sigmoid and several are a softmax. Throws Error{kInput} for an unknown
/// problem_type.
ScoreKind score_kind(const Checkpoint& checkpoint, size_t num_labels);

std::vector<double> label_scores(std::span<const float> logits, ScoreKind kind);

/// Which outputs of an NLI model mean what.
struct NliLabels {
  size_t entailment = 0;
  size_t contradiction = 0;
};
/// The label that begins with "entail" in any case; contradiction is the first label, or the last where entailment is first.
/// Throws Error{kInput} where there is none: the model is no NLI model.
NliLabels find_nli_labels(std::span<const std::string> labels, std::string_view where);

/// Puts the label into a template with one "{}". Throws Error{kUsage} where it has none.
std::string fill_hypothesis(std::string_view pattern, std::string_view label);

/// `logits` holds one row of an NLI model's outputs for each candidate label. `multi_label`, or a single candidate: each is
/// judged against contradiction; otherwise the candidates share one softmax over entailment.
std::vector<double> zero_shot_scores(std::span<const std::vector<float>> logits, const NliLabels& labels, bool multi_label);

/// Score of a cross-encoder, as sentence-transformers' CrossEncoder gives it.
enum class RerankScore { kSigmoid, kIdentity };
/// The activation that config.json names for a cross-encoder; sigmoid where it names none. Throws Error{kInput} for others.
RerankScore rerank_score(const Checkpoint& checkpoint);

}  // namespace citius
