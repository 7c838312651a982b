#include "runtime/tasks.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "base/error.h"
#include "heads/labels.h"

namespace citius {
namespace {

Classification make_classification(std::span<const std::string> labels, std::span<const double> scores) {
  Classification result;
  const auto best = static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  result.label = labels[best];
  result.score = scores[best];
  for (size_t i = 0; i < labels.size(); ++i) result.scores.emplace_back(labels[i], scores[i]);
  return result;
}

int64_t count(const std::vector<std::string>& labels) { return static_cast<int64_t>(labels.size()); }

size_t code_points(std::string_view text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

Classifier::Classifier(Engine& engine, const TaskOptions& options)
    : labels_(read_labels(engine.checkpoint)),
      kind_(score_kind(engine.checkpoint, labels_.size())),
      model_(engine, HeadKind::kSequenceClassification, count(labels_), options) {}

std::vector<Classification> Classifier::classify(std::span<const std::string> texts) {
  std::vector<Encoding> encodings;
  for (const std::string& text : texts) encodings.push_back(model_.encode(text));
  const std::vector<TaskLogits> logits = model_.run(encodings);
  std::vector<Classification> results;
  for (size_t i = 0; i < texts.size(); ++i) {
    results.push_back(make_classification(labels_, label_scores(logits[i].row(0), kind_)));
    results.back().truncated = encodings[i].num_truncated;
  }
  return results;
}

ZeroShotClassifier::ZeroShotClassifier(Engine& engine, ZeroShotOptions zero_shot, const TaskOptions& options)
    : zero_shot_(std::move(zero_shot)),
      nli_(find_nli_labels(read_labels(engine.checkpoint), engine.checkpoint.path.string())),
      model_(engine, HeadKind::kSequenceClassification, count(read_labels(engine.checkpoint)), options) {
  if (zero_shot_.labels.empty()) fail(ErrorKind::kUsage, "labels", "expected at least one label");
  fill_hypothesis(zero_shot_.hypothesis, zero_shot_.labels[0]);
}

std::vector<Classification> ZeroShotClassifier::classify(std::span<const std::string> texts) {
  std::vector<Encoding> encodings;
  for (const std::string& text : texts) {
    for (const std::string& label : zero_shot_.labels) {
      encodings.push_back(model_.encode_pair(text, fill_hypothesis(zero_shot_.hypothesis, label), TruncationStrategy::kOnlyFirst));
    }
  }
  const std::vector<TaskLogits> logits = model_.run(encodings);
  const size_t num_labels = zero_shot_.labels.size();
  std::vector<Classification> results;
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<std::vector<float>> rows;
    size_t truncated = 0;
    for (size_t j = i * num_labels; j < (i + 1) * num_labels; ++j) {
      rows.push_back(logits[j].values);
      truncated = std::max(truncated, encodings[j].num_truncated);
    }
    results.push_back(make_classification(zero_shot_.labels, zero_shot_scores(rows, nli_, zero_shot_.multi_label)));
    results.back().truncated = truncated;
  }
  return results;
}

EntityFinder::EntityFinder(Engine& engine, Aggregation aggregation, const TaskOptions& options, int64_t overlap)
    : aggregation_(aggregation),
      overlap_(overlap),
      labels_(read_labels(engine.checkpoint)),
      model_(engine, HeadKind::kTokenClassification, count(labels_), options) {
  if (overlap_ == 0) return;
  if (aggregation == Aggregation::kNone) fail(ErrorKind::kUsage, "overlap", "goes with an aggregation, got none");
  if (overlap_ + 2 >= model_.max_length()) {
    fail(ErrorKind::kUsage, "overlap", "got {} tokens, expected fewer than {} (the length of a window)", overlap_, model_.max_length() - 2);
  }
}

std::vector<Encoding> EntityFinder::windows_of(const std::string& text) const {
  if (overlap_ == 0) return {model_.encode(text)};
  EncodeOptions encode;
  encode.truncation = Truncation{static_cast<size_t>(model_.max_length()), static_cast<size_t>(overlap_), TruncationStrategy::kOnlyFirst};
  encode.keep_overflow = true;
  std::vector<Encoding> windows(1, model_.tokenizer().encode(text, encode));
  std::vector<Encoding> rest = std::exchange(windows[0].overflowing, {});
  windows[0].num_truncated = 0;  // what did not fit is in the other windows
  std::move(rest.begin(), rest.end(), std::back_inserter(windows));
  return windows;
}

std::vector<TokenScores> EntityFinder::scores_of(const std::string& text, const Encoding& encoding, const TaskLogits& logits) const {
  const Tokenizer& tokenizer = model_.tokenizer();
  std::vector<TokenScores> tokens;
  for (size_t i = 0; i < encoding.size(); ++i) {
    if (encoding.special_mask[i]) continue;
    const TextSpan span = encoding.offsets[i];
    bool is_subword = false;
    if (encoding.ids[i] != tokenizer.special().unk) {
      const auto length = static_cast<size_t>(span.end - span.begin);
      if (tokenizer.marks_subwords()) {
        is_subword = code_points(tokenizer.id_to_token(encoding.ids[i])) != length;
      } else {  // as the referee has it: no space before the token, nor at its beginning
        const auto at = static_cast<size_t>(encoding.byte_offsets[i].begin);
        is_subword = at > 0 && text[at - 1] != ' ' && (at >= text.size() || text[at] != ' ');
      }
    }
    tokens.push_back({softmax(logits.row(i)), span.begin, span.end, is_subword});
  }
  return tokens;
}

Entities EntityFinder::entities_of(const std::string& text, std::span<const Encoding> windows, std::span<const TaskLogits> logits) const {
  std::map<int32_t, int32_t> byte_begins, byte_ends;  // by code point
  std::vector<Entity> entities;
  for (size_t w = 0; w < windows.size(); ++w) {
    for (size_t i = 0; i < windows[w].size(); ++i) {
      if (windows[w].special_mask[i]) continue;
      byte_begins.emplace(windows[w].offsets[i].begin, windows[w].byte_offsets[i].begin);
      byte_ends[windows[w].offsets[i].end] = windows[w].byte_offsets[i].end;
    }
    std::vector<Entity> found = find_entities(scores_of(text, windows[w], logits[w]), labels_, aggregation_);
    std::move(found.begin(), found.end(), std::back_inserter(entities));
  }
  if (windows.size() > 1) entities = merge_windows(std::move(entities));
  Entities result;
  result.truncated = windows[0].num_truncated;
  for (Entity& entity : entities) {
    const auto begin = static_cast<size_t>(byte_begins.at(entity.begin)), end = static_cast<size_t>(byte_ends.at(entity.end));
    result.entities.push_back({std::move(entity), end > begin ? text.substr(begin, end - begin) : ""});
  }
  return result;
}

std::vector<Entities> EntityFinder::find(std::span<const std::string> texts) {
  std::vector<Encoding> windows;
  std::vector<size_t> first;  // window of each text
  for (const std::string& text : texts) {
    first.push_back(windows.size());
    for (Encoding& window : windows_of(text)) windows.push_back(std::move(window));
  }
  first.push_back(windows.size());
  const std::vector<TaskLogits> logits = model_.run(windows);
  std::vector<Entities> results;
  for (size_t i = 0; i < texts.size(); ++i) {
    const size_t count = first[i + 1] - first[i];
    results.push_back(entities_of(texts[i], std::span(windows).subspan(first[i], count), std::span(logits).subspan(first[i], count)));
  }
  return results;
}

MaskFiller::MaskFiller(Engine& engine, size_t top_k, const TaskOptions& options)
    : top_k_(top_k), model_(engine, HeadKind::kMaskedLm, engine.model().config().vocab_size, options) {
  if (model_.tokenizer().special().mask < 0) fail_input(engine.checkpoint.path.string(), "its tokenizer has no mask token");
}

std::string MaskFiller::mask_token() const { return std::string(model_.tokenizer().id_to_token(model_.tokenizer().special().mask)); }

std::vector<MaskFills> MaskFiller::fill(std::span<const std::string> texts) {
  const Tokenizer& tokenizer = model_.tokenizer();
  const int32_t mask = tokenizer.special().mask;
  std::vector<Encoding> encodings;
  std::vector<std::vector<size_t>> rows;
  for (const std::string& text : texts) {
    encodings.push_back(tokenizer.encode(text));
    const auto length = static_cast<int64_t>(encodings.back().size());
    if (length > model_.max_length()) fail_input("input", "got {} tokens, expected at most {}", length, model_.max_length());
    rows.emplace_back();
    for (size_t i = 0; i < encodings.back().size(); ++i) {
      if (encodings.back().ids[i] == mask) rows.back().push_back(i);
    }
  }
  const std::vector<TaskLogits> logits = model_.run_rows(encodings, rows);
  std::vector<MaskFills> results(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    const bool single = rows[i].size() == 1;
    for (size_t m = 0; m < rows[i].size(); ++m) {
      std::vector<MaskFill>& fills = results[i].masks.emplace_back();
      for (const TokenScore& best : likeliest_tokens(logits[i].row(m), top_k_)) {
        std::vector<int32_t> ids = encodings[i].ids;
        ids[rows[i][m]] = best.token;
        // With several masks the others must stay visible.
        const int32_t token[] = {best.token};
        fills.push_back(
            {best.token, best.score, tokenizer.decode(token, /*skip_special=*/false), tokenizer.decode(ids, /*skip_special=*/single)});
      }
    }
  }
  return results;
}

Chooser::Chooser(Engine& engine, const TaskOptions& options) : model_(engine, HeadKind::kMultipleChoice, /*outputs=*/1, options) {}

Choice Chooser::choose(const std::string& text, std::span<const std::string> choices) {
  CHECK(!choices.empty());
  Choice result;
  std::vector<Encoding> encodings;
  for (const std::string& choice : choices) {
    encodings.push_back(model_.encode_pair(text, choice, TruncationStrategy::kLongestFirst));
    result.truncated = std::max(result.truncated, encodings.back().num_truncated);
  }
  std::vector<float> logits;
  for (const TaskLogits& one : model_.run(encodings)) logits.push_back(one.values[0]);
  result.scores = softmax(logits);
  result.index = static_cast<size_t>(std::max_element(result.scores.begin(), result.scores.end()) - result.scores.begin());
  return result;
}

CrossEncoder::CrossEncoder(Engine& engine, const TaskOptions& options)
    : kind_(rerank_score(engine.checkpoint)), model_(engine, HeadKind::kSequenceClassification, /*outputs=*/1, options) {}

std::vector<double> CrossEncoder::score(const std::string& query, std::span<const std::string> documents) {
  std::vector<Encoding> encodings;
  truncated_.clear();
  for (const std::string& document : documents) {
    encodings.push_back(model_.encode_pair(query, document, TruncationStrategy::kLongestFirst));
    truncated_.push_back(encodings.back().num_truncated);
  }
  std::vector<double> scores;
  for (const TaskLogits& logits : model_.run(encodings)) {
    const auto logit = static_cast<double>(logits.values[0]);
    scores.push_back(kind_ == RerankScore::kSigmoid ? sigmoid(logit) : logit);
  }
  return scores;
}

bool is_cross_encoder(const Checkpoint& checkpoint) {
  return head_of(checkpoint) == HeadKind::kSequenceClassification && read_labels(checkpoint).size() == 1;
}

}  // namespace citius
