#include "heads/question_answering.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/check.h"

namespace citius {
namespace {

struct Span {
  size_t start, end;
  double score;
};

// Softmax over the allowed tokens; the others count as logit -10000, as the referee has it.
std::vector<double> probabilities(const std::vector<float>& logits, const std::vector<uint8_t>& allowed) {
  std::vector<double> values(logits.size());
  double max = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < values.size(); ++i) max = std::max(max, values[i] = allowed[i] ? static_cast<double>(logits[i]) : -10000.0);
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - max);
  for (double& value : values) value /= sum;
  return values;
}

// The `count` likeliest spans of at most max_tokens tokens, best first; ties in order of the text. Spans that touch a
// token that is not allowed are dropped after the choice, not before (they hold a place, as in the referee).
std::vector<Span> likeliest(const std::vector<double>& start, const std::vector<double>& end, const AnswerWindow& window, size_t max_tokens,
                            size_t count) {
  std::vector<Span> spans;
  for (size_t s = 0; s < start.size(); ++s) {
    for (size_t e = s; e < std::min(end.size(), s + max_tokens); ++e) spans.push_back({s, e, start[s] * end[e]});
  }
  const size_t kept = std::min(count, spans.size());
  std::partial_sort(spans.begin(), spans.begin() + static_cast<std::ptrdiff_t>(kept), spans.end(), [](const Span& a, const Span& b) {
    return a.score != b.score ? a.score > b.score : std::pair(a.start, a.end) < std::pair(b.start, b.end);
  });
  spans.resize(kept);
  std::erase_if(spans, [&](const Span& span) { return !window.allowed[span.start] || !window.allowed[span.end]; });
  return spans;
}

// Widens a span to the words that its ends lie in, where both lie in one.
std::pair<int32_t, int32_t> range_of(const AnswerWindow& window, const Span& span, bool align_to_words) {
  const int32_t first = window.words[span.start], last = window.words[span.end];
  if (!align_to_words || first < 0 || last < 0) return {window.begins[span.start], window.ends[span.end]};
  size_t from = span.start, to = span.end;
  while (from > 0 && window.words[from - 1] == first) --from;
  while (to + 1 < window.words.size() && window.words[to + 1] == last) ++to;
  return {window.begins[from], window.ends[to]};
}

}  // namespace

std::vector<Answer> best_answers(const std::vector<AnswerWindow>& windows, const AnswerOptions& options,
                                 const std::function<std::string(int32_t begin, int32_t end)>& text_key) {
  CHECK(options.top_k >= 1 && options.max_tokens >= 1);
  std::vector<Answer> answers;
  std::map<std::string, size_t> by_text;
  double null_score = 1000000;
  for (const AnswerWindow& window : windows) {
    if (window.start.empty()) continue;
    std::vector<double> start = probabilities(window.start, window.allowed);
    std::vector<double> end = probabilities(window.end, window.allowed);
    if (options.allow_none) null_score = std::min(null_score, start[0] * end[0]);
    start[0] = end[0] = 0;  // [CLS] is no answer
    // Some spans become equal when they are widened to words; more are looked at.
    const auto count = static_cast<size_t>(options.align_to_words ? options.top_k * 2 + 10 : options.top_k);
    for (const Span& span : likeliest(start, end, window, static_cast<size_t>(options.max_tokens), count)) {
      const auto [from, to] = range_of(window, span, options.align_to_words);
      const auto [entry, is_new] = by_text.try_emplace(text_key(from, to), answers.size());
      if (is_new) {
        answers.push_back({span.score, from, to});
      } else {
        answers[entry->second].score += span.score;
      }
    }
  }
  if (options.allow_none) answers.push_back({null_score, 0, 0});
  std::stable_sort(answers.begin(), answers.end(), [](const Answer& a, const Answer& b) { return a.score > b.score; });
  if (answers.size() > static_cast<size_t>(options.top_k)) answers.resize(static_cast<size_t>(options.top_k));
  return answers;
}

}  // namespace citius
