#include "eval/quality.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "base/error.h"
#include "metrics/distribution.h"
#include "runtime/embedder.h"

namespace citius {
namespace {

void report(const OnProgress& progress, size_t done, size_t total) {
  if (progress) progress(static_cast<double>(done) / static_cast<double>(total));
}

// Bounds beyond what the metric can be become that; those of one item alone, which are infinite, claim nothing and stay.
Estimate within(Estimate estimate, double least, double most) {
  for (double* value : {&estimate.value, &estimate.low, &estimate.high}) {
    if (std::isfinite(*value)) *value = std::clamp(*value, least, most);
  }
  return estimate;
}

// Sums over the scored tokens of one sequence.
struct SequenceSums {
  double kl = 0, agreed = 0, reference_loss = 0, candidate_loss = 0;
};

class LanguageReference : public QualityReference {
 public:
  LanguageReference(Engine& engine, std::vector<ScoredSequence> sequences, const OnProgress& progress)
      : sequences_(std::move(sequences)), model_(engine, longest(sequences_)) {
    for (const ScoredSequence& sequence : sequences_) {
      hidden_.push_back(model_.run(sequence));
      report(progress, hidden_.size(), sequences_.size());
    }
  }

  Quality compare(Engine& candidate, size_t begin, size_t end, const OnProgress& progress, double confidence) override {
    check_same_vocabulary(model_.engine(), candidate);
    LanguageModel other(candidate, longest(sequences_));
    std::vector<double> kl, agreed, difference, counts;
    for (size_t i = begin; i < end; ++i) {
      const SequenceSums sums = compare_sequence(other, i);
      kl.push_back(sums.kl);
      agreed.push_back(sums.agreed);
      difference.push_back(sums.candidate_loss - sums.reference_loss);
      counts.push_back(static_cast<double>(sequences_[i].num_scored()));
      report(progress, i + 1 - begin, end - begin);
    }
    return {{"kl_mean", within(ratio_estimate(kl, counts, confidence), 0, std::numeric_limits<double>::infinity())},
            {"top1_agreement", share_estimate(agreed, counts, confidence)},
            {"perplexity_ratio", exp_estimate(ratio_estimate(difference, counts, confidence))}};
  }

  size_t num_items() const override { return sequences_.size(); }

 private:
  SequenceSums compare_sequence(LanguageModel& other, size_t index) {
    const ScoredSequence& sequence = sequences_[index];
    const HiddenRows& ours = hidden_[index];
    const HiddenRows theirs = other.run(sequence);
    std::vector<SequenceSums> rows(static_cast<size_t>(ours.rows));
    const auto vocab = static_cast<size_t>(model_.vocab_size());
    for (int64_t first = 0; first < ours.rows; first += LanguageModel::kLogitRows) {
      const int64_t count = std::min(LanguageModel::kLogitRows, ours.rows - first);
      const TensorView a = model_.logits(ours, first, count), b = other.logits(theirs, first, count);
      other.engine().backend->threads().parallel_for(count, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const std::span<const float> reference(a.row(i), vocab), candidate(b.row(i), vocab);
          const int32_t target = sequence.tokens[static_cast<size_t>(sequence.first_scored + first + i)];
          rows[static_cast<size_t>(first + i)] = {kl_divergence(reference, candidate), argmax(reference) == argmax(candidate) ? 1.0 : 0.0,
                                                  -log_softmax_at(reference, target), -log_softmax_at(candidate, target)};
        }
      });
    }
    SequenceSums sums;
    for (const SequenceSums& row : rows) {
      sums.kl += row.kl;
      sums.agreed += row.agreed;
      sums.reference_loss += row.reference_loss;
      sums.candidate_loss += row.candidate_loss;
    }
    return sums;
  }

  std::vector<ScoredSequence> sequences_;
  LanguageModel model_;
  std::vector<HiddenRows> hidden_;
};

// The embedding of each text, as the model's user gets it.
std::vector<std::vector<float>> embed_all(Engine& engine, std::span<const std::string> texts, const OnProgress& progress) {
  constexpr size_t kChunk = 64;  // between two reports of progress
  Embedder embedder(engine);
  std::vector<std::vector<float>> vectors;
  for (size_t begin = 0; begin < texts.size(); begin += kChunk) {
    const std::span<const std::string> chunk = texts.subspan(begin, std::min(kChunk, texts.size() - begin));
    for (std::vector<float>& vector : embedder.embed(chunk)) vectors.push_back(std::move(vector));
    report(progress, vectors.size(), texts.size());
  }
  return vectors;
}

class EncoderReference : public QualityReference {
 public:
  EncoderReference(Engine& engine, std::vector<std::string> texts, const OnProgress& progress)
      : texts_(std::move(texts)), vectors_(embed_all(engine, texts_, progress)) {}

  Quality compare(Engine& candidate, size_t begin, size_t end, const OnProgress& progress, double confidence) override {
    const std::span<const std::string> texts = std::span(texts_).subspan(begin, end - begin);
    const std::vector<std::vector<float>> theirs = embed_all(candidate, texts, progress);
    std::vector<double> cosines;
    for (size_t i = 0; i < texts.size(); ++i) {
      if (theirs[i].size() != vectors_[begin + i].size()) {
        fail_input(candidate.checkpoint.path.string(), "got vectors of {} dimensions, expected {} as in the reference", theirs[i].size(),
                   vectors_[begin + i].size());
      }
      cosines.push_back(cosine(vectors_[begin + i], theirs[i]));
    }
    return {{"cosine_mean", within(mean_estimate(cosines, confidence), -1, 1)}};
  }

  size_t num_items() const override { return texts_.size(); }

 private:
  std::vector<std::string> texts_;
  std::vector<std::vector<float>> vectors_;
};

}  // namespace

void check_same_vocabulary(const Engine& reference, const Engine& candidate) {
  const int64_t expected = reference.model().config().vocab_size, got = candidate.model().config().vocab_size;
  if (got == expected) return;
  fail_input(candidate.checkpoint.path.string(), "got a vocabulary of {}, expected {} as in the reference", got, expected);
}

std::unique_ptr<QualityReference> make_reference(Engine& reference, QualityItems items, const OnProgress& progress) {
  CHECK(items.sequences.empty() != items.texts.empty());
  if (!items.sequences.empty()) {
    return std::make_unique<LanguageReference>(reference, std::move(items.sequences), progress);
  }
  return std::make_unique<EncoderReference>(reference, std::move(items.texts), progress);
}

}  // namespace citius
