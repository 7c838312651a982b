// Beam search with the rules of transformers' generate(): so many candidates a step that a beam is left for each whatever ends, finished
// replies ranked by sum of log-probabilities / length^penalty, an end as soon as no running beam can overtake (early_stopping = false).
#include <algorithm>
#include <chrono>
#include <cmath>

#include "runtime/generator.h"
#include "runtime/stop_text.h"

namespace citius {
namespace {

using Clock = std::chrono::steady_clock;

struct Beam {
  int32_t sequence = -1;
  double score = 0;  // Σ log-probabilities
  std::vector<int32_t> tokens;
};

struct Finished {
  double score = 0;
  std::vector<int32_t> tokens;
  bool stopped = false;  // by an end token or a stop string
};

struct Candidate {
  double score;
  size_t beam;
  int32_t token;
};

// Says of a reply whether a stop string ends it.
using HasStop = std::function<bool(std::span<const int32_t> tokens)>;

class BeamSearch {
 public:
  BeamSearch(Decoder& decoder, const GenerationRequest& request, std::vector<int32_t> end_tokens, HasStop has_stop)
      : decoder_(decoder), request_(request), end_tokens_(std::move(end_tokens)), has_stop_(std::move(has_stop)) {
    max_tokens_ = std::min(request.max_tokens, decoder_.max_length() - static_cast<int64_t>(request.prompt.size()));
    if (max_tokens_ > 0) beams_.push_back({decoder_.create(), 0, {}});
  }
  ~BeamSearch() { release(); }
  BeamSearch(const BeamSearch&) = delete;
  BeamSearch& operator=(const BeamSearch&) = delete;

  /// One token more; false where that can gain nothing.
  bool step() {
    if (beams_.empty()) return false;
    const std::vector<Candidate> candidates = best_candidates();
    std::vector<Beam> next;
    for (size_t i = 0; i < candidates.size(); ++i) take(candidates[i], /*leading=*/i < num_beams(), next);
    release();
    beams_ = std::move(next);
    ++length_;
    std::stable_sort(finished_.begin(), finished_.end(), [](const Finished& a, const Finished& b) { return a.score > b.score; });
    if (finished_.size() > num_beams()) finished_.resize(num_beams());
    return !beams_.empty() && (finished_.size() < num_beams() || finished_.back().score < rank(beams_[0].score, length_));
  }

  /// The best of the replies that are finished.
  Finished best() const { return finished_.empty() ? Finished{} : finished_[0]; }

 private:
  size_t num_beams() const { return static_cast<size_t>(request_.num_beams); }

  double rank(double score, int64_t length) const { return score / std::pow(static_cast<double>(length), request_.length_penalty); }

  bool is_end(int32_t token) const { return std::find(end_tokens_.begin(), end_tokens_.end(), token) != end_tokens_.end(); }

  void release() {
    for (const Beam& beam : beams_) decoder_.release(beam.sequence);
    beams_.clear();
  }

  std::vector<Candidate> best_candidates() {
    std::vector<Decoder::Step> steps;
    std::vector<int64_t> rows;
    int64_t row = 0;
    for (const Beam& beam : beams_) {
      steps.push_back(
          {beam.sequence, length_ == 0 ? decoder_.feed_beginning(beam.sequence, request_.prompt) : std::span(beam.tokens).last(1)});
      row += std::ssize(steps.back().tokens);
      rows.push_back(row - 1);
    }
    const TensorView logits = decoder_.logits(decoder_.forward(steps), rows);
    const size_t count = std::max<size_t>(2, 1 + end_tokens_.size()) * num_beams();
    std::vector<Candidate> candidates;
    for (size_t i = 0; i < beams_.size(); ++i) {
      const float* begin = logits.row(static_cast<int64_t>(i));
      std::vector<float> logprobs(begin, begin + logits.shape[1]);
      const double total = log_sum_exp(logprobs);
      for (float& logprob : logprobs) logprob = static_cast<float>(static_cast<double>(logprob) - total);
      // Penalties and the like change log-probabilities here, as the referee has it, not logits.
      logprobs = process_logits(request_.sampling, logprobs, request_.prompt, beams_[i].tokens);
      for (const auto& best : top_log_probabilities(logprobs, static_cast<int64_t>(count))) {
        const float logprob = logprobs[static_cast<size_t>(best.first)];
        if (!std::isinf(logprob)) candidates.push_back({beams_[i].score + static_cast<double>(logprob), i, best.first});
      }
    }
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
    candidates.resize(std::min(candidates.size(), count));
    return candidates;
  }

  // Ends the reply or adds it to the beams that go on. Only leading candidates may end.
  void take(const Candidate& candidate, bool leading, std::vector<Beam>& next) {
    std::vector<int32_t> tokens = beams_[candidate.beam].tokens;
    const bool ended = is_end(candidate.token);
    if (!ended) tokens.push_back(candidate.token);
    const bool stopped = ended || has_stop_(tokens);
    if (stopped || length_ + 1 == max_tokens_) {
      if (leading) finished_.push_back({rank(candidate.score, length_ + 1), std::move(tokens), stopped});
    } else if (next.size() < num_beams()) {
      next.push_back({decoder_.fork(beams_[candidate.beam].sequence), candidate.score, std::move(tokens)});
    }
  }

  Decoder& decoder_;
  const GenerationRequest& request_;
  std::vector<int32_t> end_tokens_;
  HasStop has_stop_;
  int64_t max_tokens_ = 0;
  int64_t length_ = 0;  // tokens of the running beams
  std::vector<Beam> beams_;
  std::vector<Finished> finished_;
};

double ms_between(Clock::time_point a, Clock::time_point b) { return std::chrono::duration<double, std::milli>(b - a).count(); }

}  // namespace

// Blocks that the beams of a search may hold at once: the prompt's full blocks, which they share, and what each has of its own. While
// beams are replaced the last, unfilled block of every one is there twice.
int64_t Generator::beam_blocks(const GenerationRequest& request) const {
  const auto prompt = static_cast<int64_t>(request.prompt.size());
  const int64_t reply = std::clamp<int64_t>(request.max_tokens, 0, decoder_.max_length() - prompt);
  return prompt / kKvBlock + request.num_beams * ((prompt % kKvBlock + reply + kKvBlock - 1) / kKvBlock + 1);
}

GenerationResult Generator::beam_search(const GenerationRequest& request, const std::function<bool(const std::string&)>& emit) {
  // The text of a reply up to the first stop string, and whether there is one.
  const auto text_of = [&](std::span<const int32_t> tokens) {
    StreamDecoder decoder = reply_decoder(request);
    StopText text(request.stop, [](const std::string&) { return true; });
    bool goes_on = true;
    for (size_t i = 0; goes_on && i < tokens.size(); ++i) goes_on = text.push(decoder.push(tokens[i]));
    goes_on = goes_on && text.push(decoder.finish());
    return std::pair(text.finish(), !goes_on);
  };
  const bool has_text = engine_.tokenizer != nullptr;
  decoder_.make_room(beam_blocks(request));
  std::vector<int32_t> ends = end_tokens_;
  for (int32_t id : request.stop_tokens) {
    if (std::find(ends.begin(), ends.end(), id) == ends.end()) ends.push_back(id);
  }
  GenerationResult result;
  const Clock::time_point start = Clock::now();
  Clock::time_point first = start;
  const auto search = [&] {
    BeamSearch beams(decoder_, request, std::move(ends),
                     [&](std::span<const int32_t> tokens) { return has_text && !request.stop.empty() && text_of(tokens).second; });
    bool goes_on = beams.step();
    first = Clock::now();
    while (goes_on && emit("")) goes_on = beams.step();
    return beams.best();
  };
  const Finished best = search();  // the beams' blocks are free again
  result.tokens = best.tokens;
  result.finish_reason = best.stopped ? "stop" : "length";
  if (has_text) result.text = text_of(best.tokens).first;
  result.prefill_ms = ms_between(start, first);
  result.decode_ms = ms_between(first, Clock::now());
  emit(result.text);
  if (request.prompt_logprobs || request.logprobs >= 0) score_reply(request, result);
  return result;
}

// Log-probabilities of a reply that is known, by reading it after its prompt.
void Generator::score_reply(const GenerationRequest& request, GenerationResult& result) {
  GenerationRequest whole;
  whole.prompt = request.prompt;
  whole.prompt.insert(whole.prompt.end(), result.tokens.begin(), result.tokens.end());
  whole.max_tokens = 0;
  whole.prompt_logprobs = true;
  whole.logprobs = request.logprobs;
  std::vector<TokenLogprobs> all = generate({&whole, 1})[0].prompt_logprobs;
  const auto reply = all.end() - std::ssize(result.tokens);
  if (request.logprobs >= 0) result.logprobs.assign(reply, all.end());
  if (request.prompt_logprobs) result.prompt_logprobs.assign(all.begin(), reply);
}

}  // namespace citius
