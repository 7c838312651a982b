#include "search/items.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "data/sentences.h"
#include "runtime/sampler.h"

namespace citius {
namespace {

// A permutation that depends on the seed alone.
std::vector<size_t> shuffled(size_t count, uint64_t seed) {
  const CounterRng rng(seed, /*stream=*/11);
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = count; i > 1; --i) {
    std::swap(order[i - 1], order[static_cast<size_t>(rng.bits(i) % i)]);
  }
  return order;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = text.find('\n', begin);
    if (end == std::string::npos) end = text.size();
    const size_t stop = end > begin && text[end - 1] == '\r' ? end - 1 : end;
    if (stop > begin) lines.push_back(text.substr(begin, stop - begin));
    begin = end + 1;
  }
  return lines;
}

template <typename T>
void shuffle_in_place(std::vector<T>& values, uint64_t seed) {
  std::vector<T> result;
  for (size_t index : shuffled(values.size(), seed)) result.push_back(std::move(values[index]));
  values = std::move(result);
}

std::vector<ScoredSequence> text_windows(const Tokenizer& tokenizer, const ItemOptions& options) {
  std::vector<ScoredSequence> windows;
  for (const std::string& text : options.texts) {
    const std::vector<int32_t> ids = encode_text(tokenizer, text);
    for (ScoredSequence& window : strided_windows(ids, options.window, options.window)) {
      // A few tokens at the end of a text are no item beside whole windows.
      if (window.num_scored() >= std::min<int64_t>(8, options.window - 1)) windows.push_back(std::move(window));
    }
  }
  return windows;
}

// Windows first .. first + count - 1, written side by side.
std::vector<ScoredSequence> sample_group(Decoder& decoder, Engine& engine, int64_t first, int64_t count, int64_t window, uint64_t seed,
                                         const OnProgress& progress) {
  const SpecialIds special = engine.tokenizer != nullptr ? engine.tokenizer->special() : SpecialIds();
  const int32_t start = special.bos >= 0 ? special.bos : std::max(0, special.eos);
  std::vector<ScoredSequence> windows(static_cast<size_t>(count));
  std::vector<int32_t> ids;
  for (ScoredSequence& sequence : windows) {
    sequence.tokens = {start};
    ids.push_back(decoder.create());
  }
  std::vector<int64_t> rows(windows.size());
  std::iota(rows.begin(), rows.end(), int64_t{0});
  for (int64_t length = 1; length < window; ++length) {
    std::vector<Decoder::Step> steps;
    for (size_t i = 0; i < windows.size(); ++i) steps.push_back({ids[i], std::span(windows[i].tokens).last(1)});
    const TensorView logits = decoder.logits(decoder.forward(steps), rows);
    engine.backend->threads().parallel_for(count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        SamplingOptions sampling;
        sampling.temperature = 1;
        sampling.seed = seed * 1000003 + static_cast<uint64_t>(first + i);
        std::vector<int32_t>& tokens = windows[static_cast<size_t>(i)].tokens;
        // An end token is kept and followed by another beginning, as documents follow one another in training.
        tokens.push_back(sample(sampling, {logits.row(i), static_cast<size_t>(logits.shape[1])}, {}, std::span(tokens).subspan(1)));
      }
    });
    if (progress) progress(static_cast<double>(length + 1) / static_cast<double>(window));
  }
  for (int32_t id : ids) decoder.release(id);
  return windows;
}

}  // namespace

std::vector<ScoredSequence> sample_windows(Engine& engine, int64_t count, int64_t window, uint64_t seed, const OnProgress& progress,
                                           const std::function<bool()>& short_of_time) {
  Decoder decoder(engine, kSampledGroup * ((window + kKvBlock - 1) / kKvBlock * kKvBlock));
  std::vector<ScoredSequence> windows;
  for (int64_t first = 0; first < count; first += kSampledGroup) {
    if (first > 0 && short_of_time && short_of_time()) break;
    const int64_t size = std::min(kSampledGroup, count - first);
    const OnProgress part = [&](double share) {
      if (progress) progress((static_cast<double>(first) + share * static_cast<double>(size)) / static_cast<double>(count));
    };
    for (ScoredSequence& sequence : sample_group(decoder, engine, first, size, window, seed, part)) windows.push_back(std::move(sequence));
  }
  return windows;
}

namespace {

// The first `most` items. For a split each is there once, so that none is both chosen by and verified on, and their order
// depends on the seed.
template <typename T, typename Key>
void select(std::vector<T>& items, const ItemOptions& options, int64_t most, const Key& key) {
  if (options.split) {
    std::set<std::decay_t<decltype(key(items[0]))>> seen;
    std::erase_if(items, [&](const T& item) { return !seen.insert(key(item)).second; });
    shuffle_in_place(items, options.seed);
  }
  if (static_cast<int64_t>(items.size()) > most) items.resize(static_cast<size_t>(most));
}

// Texts of an encoder: lines or rows, without those that are no token.
std::vector<std::string> encoder_texts(const Engine& engine, const ItemOptions& options) {
  if (engine.tokenizer == nullptr) fail_input(engine.checkpoint.path.string(), "has no tokenizer");
  std::vector<std::string> texts = options.texts.empty() ? builtin_sentences() : options.texts;
  if (options.plain && texts.size() == 1) texts = lines_of(texts.front());
  std::erase_if(texts, [&](const std::string& text) { return engine.tokenizer->encode(text).ids.empty(); });
  select(texts, options, options.num_texts, [](const std::string& text) { return text; });
  return texts;
}

void make_sequences(Engine& engine, const ItemOptions& options, const OnProgress& progress, ChosenItems& chosen) {
  ItemOptions fitted = options;
  fitted.window = std::min(options.window, engine.model().config().max_positions);
  std::vector<ScoredSequence>& sequences = chosen.items.sequences;
  if (options.texts.empty()) {
    sequences = options.sampled;
    if (sequences.empty()) {
      sequences = sample_windows(engine, options.num_windows, fitted.window, options.seed, progress, options.short_of_time);
    }
    chosen.source = fmt::format("{} windows of {} tokens that the model wrote at temperature 1", sequences.size(), fitted.window);
    return;
  }
  if (engine.tokenizer == nullptr) fail_input(engine.checkpoint.path.string(), "has no tokenizer; leave out --data");
  sequences = text_windows(*engine.tokenizer, fitted);
  select(sequences, options, options.num_windows, [](const ScoredSequence& window) { return window.tokens; });
  chosen.source = fmt::format("{} windows of up to {} tokens of the given text", sequences.size(), fitted.window);
}

}  // namespace

ChosenItems make_items(Engine& engine, const ItemOptions& options, const OnProgress& progress) {
  ChosenItems chosen;
  if (engine.model().config().causal) {
    make_sequences(engine, options, progress, chosen);
  } else {
    chosen.items.texts = encoder_texts(engine, options);
    chosen.source = fmt::format("{} {}", chosen.items.texts.size(), options.texts.empty() ? "built-in sentences" : "given texts");
  }
  const size_t fewest = options.split ? 4 : 1;
  if (chosen.items.size() < fewest) {
    fail_input("data", "got {} {}items to judge by, expected at least {}; give more text", chosen.items.size(),
               options.split ? "different " : "", fewest);
  }
  chosen.num_choose = options.split ? (chosen.items.size() + 1) / 2 : chosen.items.size();
  return chosen;
}

}  // namespace citius
