#include "runtime/question_answerer.h"

#include <unicode/locid.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <map>

#include "base/error.h"

namespace citius {
namespace {

std::string lower_case(const std::string& text) {
  icu::UnicodeString unicode = icu::UnicodeString::fromUTF8(text);
  std::string lower;
  unicode.toLower(icu::Locale::getRoot()).toUTF8String(lower);
  return lower;
}

}  // namespace

QuestionAnswerer::QuestionAnswerer(Engine& engine, const QuestionOptions& question, const TaskOptions& options)
    : question_(question), model_(engine, HeadKind::kQuestionAnswering, /*outputs=*/2, options) {
  if (question_.window == 0) question_.window = std::min<int64_t>(model_.max_length(), 384);
  if (question_.window > model_.max_length()) {
    fail(ErrorKind::kUsage, "window", "got {} tokens, expected at most {}", question_.window, model_.max_length());
  }
  if (question_.overlap == 0) question_.overlap = std::min<int64_t>(question_.window / 2, 128);
  if (question_.overlap >= question_.window) {
    fail(ErrorKind::kUsage, "overlap", "got {} tokens, expected fewer than the window's {}", question_.overlap, question_.window);
  }
}

AnswerWindow QuestionAnswerer::window_of(const Encoding& encoding, const TaskLogits& logits) const {
  const int32_t cls = model_.tokenizer().special().cls;
  AnswerWindow window;
  for (size_t i = 0; i < encoding.size(); ++i) {
    const bool in_context = encoding.sequence_ids[i] == 1;
    window.start.push_back(logits.row(i)[0]);
    window.end.push_back(logits.row(i)[1]);
    window.allowed.push_back(in_context || (cls >= 0 && encoding.ids[i] == cls));
    window.begins.push_back(encoding.offsets[i].begin);
    window.ends.push_back(encoding.offsets[i].end);
    window.words.push_back(in_context ? encoding.word_ids[i] : -1);
  }
  return window;
}

std::vector<FoundAnswer> QuestionAnswerer::answer(const std::string& question, const std::string& context) {
  EncodeOptions encode;
  encode.truncation =
      Truncation{static_cast<size_t>(question_.window), static_cast<size_t>(question_.overlap), TruncationStrategy::kOnlySecond};
  encode.keep_overflow = true;
  Encoding first;
  try {
    first = model_.tokenizer().encode_pair(question, context, encode);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
    fail_input("question", "leaves no room for the context in a window of {} tokens; shorten it or widen the window", question_.window);
  }
  std::vector<Encoding> encodings = std::exchange(first.overflowing, {});
  encodings.insert(encodings.begin(), std::move(first));
  const std::vector<TaskLogits> logits = model_.run(encodings);
  std::vector<AnswerWindow> windows;
  std::map<int32_t, int32_t> byte_begins{{0, 0}}, byte_ends{{0, 0}};  // by code point
  for (size_t w = 0; w < encodings.size(); ++w) {
    windows.push_back(window_of(encodings[w], logits[w]));
    for (size_t i = 0; i < encodings[w].size(); ++i) {
      if (encodings[w].sequence_ids[i] != 1) continue;
      byte_begins.emplace(encodings[w].offsets[i].begin, encodings[w].byte_offsets[i].begin);
      byte_ends[encodings[w].offsets[i].end] = encodings[w].byte_offsets[i].end;
    }
  }
  // A context without words leaves nothing to point at but the first token, which means "no answer".
  if (byte_ends.size() == 1 && !question_.answers.allow_none) return {};
  const auto text_of = [&](int32_t begin, int32_t end) -> std::string {
    const auto from = byte_begins.find(begin), to = byte_ends.find(end);
    if (from == byte_begins.end() || to == byte_ends.end() || to->second <= from->second) return "";
    return context.substr(static_cast<size_t>(from->second), static_cast<size_t>(to->second - from->second));
  };
  std::vector<FoundAnswer> found;
  for (const Answer& answer :
       best_answers(windows, question_.answers, [&](int32_t begin, int32_t end) { return lower_case(text_of(begin, end)); })) {
    found.push_back({answer, text_of(answer.begin, answer.end)});
  }
  return found;
}

}  // namespace citius
