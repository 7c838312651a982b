#include "tokenizer/post_processor.h"

#include <algorithm>

#include "base/error.h"

namespace citius::tok {
namespace {

/// Tokens [begin, end) of a draft, without its overflow.
Draft slice(const Draft& from, size_t begin, size_t end) {
  const auto cut = [&](const auto& list) {
    using List = std::decay_t<decltype(list)>;
    if (list.empty()) return List();
    return List(list.begin() + static_cast<ptrdiff_t>(begin), list.begin() + static_cast<ptrdiff_t>(end));
  };
  Draft out;
  out.encoding.ids = cut(from.encoding.ids);
  out.encoding.type_ids = cut(from.encoding.type_ids);
  out.encoding.offsets = cut(from.encoding.offsets);
  out.encoding.special_mask = cut(from.encoding.special_mask);
  out.encoding.word_ids = cut(from.encoding.word_ids);
  out.encoding.sequence_ids = cut(from.encoding.sequence_ids);
  out.leading = cut(from.leading);
  out.trailing = cut(from.trailing);
  return out;
}

/// Shortens a draft to its first (or last) `length` tokens; the rest becomes windows that overlap by `stride`.
void truncate_one(Draft& draft, size_t length, size_t stride, bool from_left) {
  const size_t total = draft.encoding.size();
  if (length >= total) return;
  if (length == 0) {
    Draft emptied;
    emptied.encoding.num_truncated = total;
    emptied.overflowing.push_back(std::move(draft));
    draft = std::move(emptied);
    return;
  }
  if (stride >= length) {
    fail(ErrorKind::kUsage, "tokenizer", "got a stride of {} for windows of {} tokens, expected less", stride, length);
  }
  std::vector<Draft> windows;
  const size_t advance = length - stride;
  for (size_t done = 0;; done += advance) {
    const size_t begin = from_left ? (total - done > length ? total - done - length : 0) : done;
    const size_t end = from_left ? total - done : std::min(done + length, total);
    windows.push_back(slice(draft, begin, end));
    if (from_left ? begin == 0 : end == total) break;
  }
  draft = std::move(windows.front());
  draft.encoding.num_truncated = total - length;
  draft.overflowing.assign(std::make_move_iterator(windows.begin() + 1), std::make_move_iterator(windows.end()));
}

void trim_offsets(Draft& draft, bool add_prefix_space) {
  for (size_t i = 0; i < draft.encoding.size(); ++i) {
    TextSpan& span = draft.encoding.offsets[i];
    int32_t leading = draft.leading[i];
    const int32_t trailing = draft.trailing[i];
    if (leading > 0) {
      // The space that was put before the first word is not in the text.
      if ((i == 0 || span.begin == 0) && add_prefix_space && leading == 1) leading = 0;
      span.begin = std::min(span.begin + leading, span.end);
    }
    if (trailing > 0 && span.end >= trailing) span.end = std::max(span.end - trailing, span.begin);
  }
  for (Draft& window : draft.overflowing) trim_offsets(window, add_prefix_space);
}

void set_types(Draft& draft, int32_t type_id) {
  std::fill(draft.encoding.type_ids.begin(), draft.encoding.type_ids.end(), type_id);
  for (Draft& window : draft.overflowing) set_types(window, type_id);
}

Draft special_tokens(const TemplatePiece& piece) {
  Draft draft;
  const size_t count = piece.ids.size();
  draft.encoding.ids = piece.ids;
  draft.encoding.type_ids.assign(count, piece.type_id);
  draft.encoding.offsets.assign(count, {});
  draft.encoding.special_mask.assign(count, 1);
  draft.encoding.word_ids.assign(count, -1);
  draft.encoding.sequence_ids.assign(count, -1);
  draft.leading.assign(count, 0);
  draft.trailing.assign(count, 0);
  return draft;
}

class Template final : public PostProcessor {
 public:
  Template(std::vector<TemplatePiece> single, std::vector<TemplatePiece> pair) : single_(std::move(single)), pair_(std::move(pair)) {}

  size_t num_added(bool pair) const override {
    size_t count = 0;
    for (const TemplatePiece& piece : pair ? pair_ : single_) count += piece.ids.size();
    return count;
  }

  int32_t largest_id() const override {
    int32_t largest = -1;
    for (const auto* pieces : {&single_, &pair_}) {
      for (const TemplatePiece& piece : *pieces) {
        for (const int32_t id : piece.ids) largest = std::max(largest, id);
      }
    }
    return largest;
  }

  void apply(std::vector<Draft>& drafts, bool add_special_tokens) const override {
    if (drafts.size() > 2) fail_input("tokenizer", "two templates follow one another in the post-processor");
    std::vector<Draft> out;
    for (const TemplatePiece& piece : drafts.size() == 2 ? pair_ : single_) {
      if (piece.sequence >= 0) {
        out.push_back(drafts[static_cast<size_t>(piece.sequence)]);
        set_types(out.back(), piece.type_id);
      } else if (add_special_tokens) {
        out.push_back(special_tokens(piece));
      }
    }
    drafts = std::move(out);
  }

 private:
  std::vector<TemplatePiece> single_, pair_;
};

class Trimming final : public PostProcessor {
 public:
  Trimming(bool trim_offsets, bool add_prefix_space) : trim_(trim_offsets), add_prefix_space_(add_prefix_space) {}
  size_t num_added(bool) const override { return 0; }
  bool trims() const override { return trim_; }
  void apply(std::vector<Draft>& drafts, bool) const override {
    if (!trim_) return;
    for (Draft& draft : drafts) trim_offsets(draft, add_prefix_space_);
  }

 private:
  bool trim_, add_prefix_space_;
};

class Sequence final : public PostProcessor {
 public:
  explicit Sequence(std::vector<PostProcessorPtr> steps) : steps_(std::move(steps)) {}
  size_t num_added(bool pair) const override {
    size_t count = 0;
    for (const PostProcessorPtr& step : steps_) count += step->num_added(pair);
    return count;
  }
  bool trims() const override {
    return std::any_of(steps_.begin(), steps_.end(), [](const PostProcessorPtr& step) { return step->trims(); });
  }
  int32_t largest_id() const override {
    int32_t largest = -1;
    for (const PostProcessorPtr& step : steps_) largest = std::max(largest, step->largest_id());
    return largest;
  }
  void apply(std::vector<Draft>& drafts, bool add_special_tokens) const override {
    for (const PostProcessorPtr& step : steps_) step->apply(drafts, add_special_tokens);
  }

 private:
  std::vector<PostProcessorPtr> steps_;
};

}  // namespace

void append(Encoding& to, const Encoding& from) {
  const auto join = [](auto& a, const auto& b) { a.insert(a.end(), b.begin(), b.end()); };
  join(to.ids, from.ids);
  join(to.type_ids, from.type_ids);
  join(to.offsets, from.offsets);
  join(to.special_mask, from.special_mask);
  join(to.word_ids, from.word_ids);
  join(to.sequence_ids, from.sequence_ids);
  to.num_truncated += from.num_truncated;
}

PostProcessorPtr make_template(std::vector<TemplatePiece> single, std::vector<TemplatePiece> pair) {
  return std::make_unique<Template>(std::move(single), std::move(pair));
}

PostProcessorPtr make_bert_processing(int32_t cls, int32_t sep) {
  return make_template({{-1, 0, {cls}}, {0, 0, {}}, {-1, 0, {sep}}},
                       {{-1, 0, {cls}}, {0, 0, {}}, {-1, 0, {sep}}, {1, 1, {}}, {-1, 1, {sep}}});
}

PostProcessorPtr make_roberta_processing(int32_t cls, int32_t sep, bool trim_offsets, bool add_prefix_space) {
  std::vector<PostProcessorPtr> steps;
  steps.push_back(make_byte_level_processing(trim_offsets, add_prefix_space));
  steps.push_back(make_template({{-1, 0, {cls}}, {0, 0, {}}, {-1, 0, {sep}}},
                                {{-1, 0, {cls}}, {0, 0, {}}, {-1, 0, {sep, sep}}, {1, 0, {}}, {-1, 0, {sep}}}));
  return make_post_processor_sequence(std::move(steps));
}

PostProcessorPtr make_byte_level_processing(bool trim_offsets, bool add_prefix_space) {
  return std::make_unique<Trimming>(trim_offsets, add_prefix_space);
}

PostProcessorPtr make_post_processor_sequence(std::vector<PostProcessorPtr> steps) { return std::make_unique<Sequence>(std::move(steps)); }

void truncate(std::vector<Draft>& drafts, const Truncation& truncation, size_t num_added) {
  if (num_added > truncation.max_length) {
    fail(ErrorKind::kUsage, "tokenizer", "got a length limit of {} tokens, expected at least the {} special ones", truncation.max_length,
         num_added);
  }
  const size_t limit = truncation.max_length - num_added;
  const auto cut = [&](Draft& draft, size_t length) { truncate_one(draft, length, truncation.stride, truncation.from_left); };
  if (limit == 0) {
    for (Draft& draft : drafts) cut(draft, 0);
    return;
  }
  size_t total = 0;
  for (const Draft& draft : drafts) total += draft.encoding.size();
  if (total <= limit) return;
  if (truncation.strategy == TruncationStrategy::kLongestFirst) {
    if (drafts.size() == 1) {
      cut(drafts[0], limit);
      return;
    }
    // The shorter text stays whole while it fits into half; the longer one gets what is left.
    const size_t first = drafts[0].encoding.size(), second = drafts[1].encoding.size();
    const bool swapped = first > second;
    size_t shorter = std::min(first, second);
    size_t longer = shorter > limit ? shorter : std::max(shorter, limit - shorter);
    if (shorter + longer > limit) {
      shorter = limit / 2;
      longer = shorter + limit % 2;
    }
    cut(drafts[0], swapped ? longer : shorter);
    cut(drafts[1], swapped ? shorter : longer);
    return;
  }
  const bool first = truncation.strategy == TruncationStrategy::kOnlyFirst;
  if (!first && drafts.size() < 2) {
    fail(ErrorKind::kUsage, "tokenizer", "the second text is to be truncated, but there is only one");
  }
  Draft& target = drafts[first ? 0 : 1];
  const size_t excess = total - limit;
  if (target.encoding.size() <= excess) {
    fail(ErrorKind::kUsage, "tokenizer", "the {} text has {} tokens, {} must go to keep to {}; choose another truncation strategy",
         first ? "first" : "second", target.encoding.size(), excess, truncation.max_length);
  }
  cut(target, target.encoding.size() - excess);
}

Encoding merge(std::vector<Draft> drafts, bool keep_overflow) {
  Encoding out;
  for (const Draft& draft : drafts) {
    if (keep_overflow) {
      // Each window so far goes with this text, and so does all so far with each window of this text.
      std::vector<Encoding> windows;
      for (const Encoding& window : out.overflowing) {
        windows.push_back(window);
        append(windows.back(), draft.encoding);
        for (const Draft& other : draft.overflowing) {
          windows.push_back(window);
          append(windows.back(), other.encoding);
        }
      }
      for (const Draft& other : draft.overflowing) {
        windows.push_back(out);
        windows.back().overflowing.clear();
        append(windows.back(), other.encoding);
      }
      out.overflowing = std::move(windows);
    }
    append(out, draft.encoding);
  }
  return out;
}

}  // namespace citius::tok
