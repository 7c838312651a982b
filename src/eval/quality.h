// Quality of a model against a reference, item by item: for language models how far the distributions of the next token
// are apart, for encoders how far their vectors point apart. The reference's outputs are computed once and kept.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "eval/language_model.h"
#include "metrics/statistics.h"

namespace citius {

/// What is compared: token sequences of a language model, or texts of an encoder. One of the two is empty.
struct QualityItems {
  std::vector<ScoredSequence> sequences;
  std::vector<std::string> texts;

  size_t size() const { return sequences.size() + texts.size(); }
};

/// Metrics by name, each with its paired interval over the items. Language models: kl_mean (nats),
/// top1_agreement, perplexity_ratio. Encoders: cosine_mean.
using Quality = std::map<std::string, Estimate>;

class QualityReference {
 public:
  virtual ~QualityReference() = default;
  /// Compares `candidate`, which must have the reference's vocabulary and sizes (Error{kInput} otherwise). Items with
  /// index in [begin, end) only. Throws Error{kFailed} where outputs of either are not finite.
  virtual Quality compare(Engine& candidate, size_t begin, size_t end, const OnProgress& progress = {},
                          double confidence = kConfidence) = 0;
  virtual size_t num_items() const = 0;
};

/// Throws Error{kInput} where two language models have vocabularies of different size.
void check_same_vocabulary(const Engine& reference, const Engine& candidate);

/// Runs the reference on all items, in the compute mode that its engine has now. `reference` must outlive the result; it may
/// itself be compared in another mode.
std::unique_ptr<QualityReference> make_reference(Engine& reference, QualityItems items, const OnProgress& progress = {});

}  // namespace citius
