#include "heads/classification.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/error.h"

namespace citius {
namespace {

double log_odds_softmax(double for_it, double against) { return sigmoid(for_it - against); }

bool begins_with_entail(std::string_view label) {
  constexpr std::string_view kPrefix = "entail";
  return label.size() >= kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), label.begin(), [](char a, char b) {
           return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
         });
}

}  // namespace

std::vector<double> softmax(std::span<const float> logits) {
  std::vector<double> scores(logits.size());
  if (logits.empty()) return scores;
  const auto max = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) sum += scores[i] = std::exp(static_cast<double>(logits[i]) - max);
  for (double& score : scores) score /= sum;
  return scores;
}

double sigmoid(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

ScoreKind score_kind(const Checkpoint& checkpoint, size_t num_labels) {
  const JsonObject config(checkpoint.config, checkpoint.path.string());
  if (config.has("problem_type")) {
    const std::string type = config.get_string("problem_type");
    if (type == "regression") return ScoreKind::kRaw;
    if (type == "multi_label_classification") return ScoreKind::kSigmoid;
    if (type != "single_label_classification") {
      fail_input(config.where(),
                 "problem_type '{}' is not supported, expected regression, single_label_classification or "
                 "multi_label_classification",
                 type);
    }
  }
  return num_labels == 1 ? ScoreKind::kSigmoid : ScoreKind::kSoftmax;
}

std::vector<double> label_scores(std::span<const float> logits, ScoreKind kind) {
  if (kind == ScoreKind::kSoftmax) return softmax(logits);
  std::vector<double> scores(logits.begin(), logits.end());
  if (kind == ScoreKind::kSigmoid) {
    for (double& score : scores) score = sigmoid(score);
  }
  return scores;
}

NliLabels find_nli_labels(std::span<const std::string> labels, std::string_view where) {
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels.size() >= 2 && begins_with_entail(labels[i])) return {i, i == 0 ? labels.size() - 1 : 0};
  }
  fail_input(where, "has no label that begins with 'entail'; zero-shot classification needs a model trained for inference (NLI)");
}

std::string fill_hypothesis(std::string_view pattern, std::string_view label) {
  const size_t at = pattern.find("{}");
  if (at == std::string_view::npos) fail(ErrorKind::kUsage, "template", "got '{}', expected a text with {{}} for the label", pattern);
  return std::string(pattern.substr(0, at)) + std::string(label) + std::string(pattern.substr(at + 2));
}

std::vector<double> zero_shot_scores(std::span<const std::vector<float>> logits, const NliLabels& labels, bool multi_label) {
  std::vector<float> entailment;
  std::vector<double> scores;
  for (const std::vector<float>& row : logits) {
    entailment.push_back(row[labels.entailment]);
    scores.push_back(log_odds_softmax(static_cast<double>(row[labels.entailment]), static_cast<double>(row[labels.contradiction])));
  }
  return multi_label || logits.size() == 1 ? scores : softmax(entailment);
}

RerankScore rerank_score(const Checkpoint& checkpoint) {
  const JsonObject config(checkpoint.config, checkpoint.path.string());
  std::string name;
  if (config.has("sentence_transformers")) name = config.get_object("sentence_transformers").get_string("activation_fn", "");
  if (name.empty()) name = config.get_string("sbert_ce_default_activation_function", "");
  if (name.empty() || name.ends_with(".Sigmoid")) return RerankScore::kSigmoid;
  if (name.ends_with(".Identity")) return RerankScore::kIdentity;
  fail_input(config.where(), "activation '{}' of a cross-encoder is not supported, expected Sigmoid or Identity", name);
}

}  // namespace citius
