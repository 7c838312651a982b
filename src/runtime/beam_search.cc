// Beam search with the rules of transformers' generate(): 2 · beams candidates a step, finished replies ranked by
// sum of log-probabilities / length^penalty, an end as soon as no running beam can overtake (early_stopping = false).
#include <algorithm>
#include <cmath>
#include <limits>

#include "runtime/generator.h"

namespace citius {
namespace {

struct Beam {
  int32_t sequence = -1;
  double score = 0;  // Σ log-probabilities
  std::vector<int32_t> tokens;
};

struct Finished {
  double score;
  std::vector<int32_t> tokens;
  bool ended;  // by an end token
};

struct Candidate {
  double score;
  size_t beam;
  int32_t token;
};

}  // namespace

GenerationResult Generator::beam_search(const GenerationRequest& request) {
  const auto num_beams = static_cast<size_t>(request.num_beams);
  const int64_t max_tokens =
      std::min(request.max_tokens, decoder_.max_length() - static_cast<int64_t>(request.prompt.size()));
  std::vector<Beam> beams(1);
  beams[0].sequence = decoder_.create();
  std::vector<Finished> finished;
  auto rank = [&](double score, size_t length) {
    return score / std::pow(static_cast<double>(std::max<size_t>(length, 1)), request.length_penalty);
  };
  auto is_end = [&](int32_t token) {
    return std::find(end_tokens_.begin(), end_tokens_.end(), token) != end_tokens_.end() ||
           std::find(request.stop_tokens.begin(), request.stop_tokens.end(), token) != request.stop_tokens.end();
  };
  for (int64_t length = 0; length < max_tokens && !beams.empty(); ++length) {
    std::vector<Decoder::Step> steps;
    for (const Beam& beam : beams) {
      steps.push_back({beam.sequence, length == 0 ? std::span(request.prompt) : std::span(beam.tokens).last(1)});
    }
    const TensorView hidden = decoder_.forward(steps);
    std::vector<int64_t> rows;
    for (size_t i = 0, row = 0; i < beams.size(); ++i) rows.push_back(static_cast<int64_t>(row += steps[i].tokens.size()) - 1);
    const TensorView logits = decoder_.logits(hidden, rows);
    std::vector<Candidate> candidates;
    for (size_t i = 0; i < beams.size(); ++i) {
      const std::span<const float> row(logits.row(static_cast<int64_t>(i)), static_cast<size_t>(logits.shape[1]));
      const double total = log_sum_exp(row);
      const std::vector<float> processed = process_logits(request.sampling, row, request.prompt, beams[i].tokens);
      for (const auto& [token, logprob] : top_log_probabilities(processed, static_cast<int64_t>(2 * num_beams))) {
        const float logit = processed[static_cast<size_t>(token)];
        if (std::isinf(logit)) continue;
        candidates.push_back({beams[i].score + static_cast<double>(logit) - total, i, token});
      }
    }
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
    candidates.resize(std::min(candidates.size(), 2 * num_beams));
    std::vector<Beam> next;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Candidate& candidate = candidates[i];
      std::vector<int32_t> tokens = beams[candidate.beam].tokens;
      if (is_end(candidate.token)) {
        if (i < num_beams) finished.push_back({rank(candidate.score, tokens.size() + 1), tokens, true});
        continue;
      }
      tokens.push_back(candidate.token);
      if (length + 1 == max_tokens) {
        finished.push_back({rank(candidate.score, tokens.size()), std::move(tokens), false});
      } else if (next.size() < num_beams) {
        next.push_back({decoder_.fork(beams[candidate.beam].sequence), candidate.score, std::move(tokens)});
      }
    }
    for (const Beam& beam : beams) decoder_.release(beam.sequence);
    beams = std::move(next);
    std::stable_sort(finished.begin(), finished.end(), [](const Finished& a, const Finished& b) { return a.score > b.score; });
    if (finished.size() > num_beams) finished.resize(num_beams);
    if (finished.size() == num_beams && !beams.empty() &&
        finished.back().score >= rank(beams[0].score, static_cast<size_t>(length) + 1)) {
      break;
    }
  }
  for (const Beam& beam : beams) decoder_.release(beam.sequence);
  GenerationResult result;
  result.finish_reason = "length";
  if (!finished.empty()) {
    result.tokens = finished[0].tokens;
    if (finished[0].ended) result.finish_reason = "stop";
  }
  if (engine_.tokenizer != nullptr) result.text = engine_.tokenizer->decode(result.tokens);
  return result;
}

}  // namespace citius
