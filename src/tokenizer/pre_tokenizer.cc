#include "tokenizer/pre_tokenizer.h"

#include <unicode/uscript.h>

#include <algorithm>

#include "tokenizer/normalizer.h"
#include "tokenizer/unicode.h"

namespace citius::tok {

const char kGpt2Pattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

/// Calls `cut` with the text and the match list of each piece that is not an added token, and replaces the piece by
/// what the behaviour makes of the matches.
class Splitter {
 public:
  Splitter(PieceList& list, SplitBehavior behavior) : list_(list), behavior_(behavior) {}

  template <typename Cut>
  void run(Cut cut) {
    std::vector<Piece> pieces;
    pieces.reserve(list_.pieces.size());
    for (const Piece& piece : list_.pieces) {
      if (piece.added_id >= 0) {
        pieces.push_back(piece);
        continue;
      }
      parts_.clear();
      cut(list_.view(piece), parts_);
      merge();
      for (const Match& part : parts_) {
        if (part.begin < part.end) pieces.push_back({piece.begin + part.begin, piece.begin + part.end, -1});
      }
    }
    list_.pieces = std::move(pieces);
  }

 private:
  /// Turns matches and gaps into the parts that stay.
  void merge() {
    switch (behavior_) {
      case SplitBehavior::kIsolated: return;
      case SplitBehavior::kRemoved: std::erase_if(parts_, [](const Match& part) { return part.matched; }); return;
      case SplitBehavior::kContiguous: fold([](bool matched, bool previous) { return matched == previous; }); return;
      case SplitBehavior::kMergedWithPrevious: fold([](bool matched, bool previous) { return matched && !previous; }); return;
      case SplitBehavior::kMergedWithNext:
        std::reverse(parts_.begin(), parts_.end());
        fold([](bool matched, bool previous) { return matched && !previous; });
        std::reverse(parts_.begin(), parts_.end());
        return;
    }
  }

  /// Joins a part to the one before it where `joins` says so. Parts may run backwards.
  template <typename Joins>
  void fold(Joins joins) {
    std::vector<Match> folded;
    bool previous = false;
    for (const Match& part : parts_) {
      if (joins(part.matched, previous) && !folded.empty()) {
        folded.back().begin = std::min(folded.back().begin, part.begin);
        folded.back().end = std::max(folded.back().end, part.end);
      } else {
        folded.push_back(part);
      }
      previous = part.matched;
    }
    parts_ = std::move(folded);
  }

  PieceList& list_;
  SplitBehavior behavior_;
  std::vector<Match> parts_;
};

/// Every character for which `is_match` holds is a match of its own.
template <typename IsMatch>
void match_chars(std::string_view text, std::vector<Match>& out, IsMatch is_match) {
  size_t previous = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    if (!is_match(next_char(text, i))) continue;
    if (previous < begin) out.push_back({previous, begin, false});
    out.push_back({begin, i, true});
    previous = i;
  }
  if (previous < text.size()) out.push_back({previous, text.size(), false});
}

template <typename IsMatch>
void split_chars(PieceList& list, SplitBehavior behavior, IsMatch is_match) {
  Splitter(list, behavior).run([&](std::string_view text, std::vector<Match>& parts) { match_chars(text, parts, is_match); });
}

bool is_any_punctuation(char32_t c) { return is_ascii_punctuation(c) || (c >= 0x80 && is_punctuation(c)); }

/// Rebuilds the text: `append(piece, out)` appends what becomes of a piece that is not an added token.
template <typename Append>
void rebuild(PieceList& list, Append append) {
  AlignedText text;
  text.bytes.reserve(list.text.size());
  text.spans.reserve(list.text.size());
  for (Piece& piece : list.pieces) {
    const size_t begin = text.size();
    if (piece.added_id >= 0) {
      text.append(list.text, piece.begin, piece.end);
    } else {
      append(piece, text);
    }
    piece.begin = begin;
    piece.end = text.size();
  }
  list.text = std::move(text);
}

class Sequence final : public PreTokenizer {
 public:
  explicit Sequence(std::vector<PreTokenizerPtr> steps) : steps_(std::move(steps)) {}
  void apply(PieceList& list) const override {
    for (const PreTokenizerPtr& step : steps_) step->apply(list);
  }

 private:
  std::vector<PreTokenizerPtr> steps_;
};

class Split final : public PreTokenizer {
 public:
  Split(Regex pattern, SplitBehavior behavior, bool invert) : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void apply(PieceList& list) const override {
    Splitter(list, behavior_).run([&](std::string_view text, std::vector<Match>& parts) {
      pattern_.find_all(text, parts);
      for (Match& part : parts) part.matched ^= invert_;
    });
  }

 private:
  Regex pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

class ByteLevel final : public PreTokenizer {
 public:
  ByteLevel(bool add_prefix_space, bool use_regex)
      : add_prefix_space_(add_prefix_space), use_regex_(use_regex), pattern_(kGpt2Pattern, "byte-level pre-tokenizer") {}

  void apply(PieceList& list) const override {
    if (add_prefix_space_) {
      rebuild(list, [&](const Piece& piece, AlignedText& out) {
        if (list.text.bytes[piece.begin] != ' ') out.append(" ", list.text.spans[piece.begin]);
        out.append(list.text, piece.begin, piece.end);
      });
    }
    if (use_regex_) {
      Splitter(list, SplitBehavior::kIsolated).run([&](std::string_view text, std::vector<Match>& parts) {
        pattern_.find_all(text, parts);
      });
    }
    rebuild(list, [&](const Piece& piece, AlignedText& out) { append_byte_level(list.text, piece.begin, piece.end, out); });
  }

 private:
  bool add_prefix_space_, use_regex_;
  Regex pattern_;
};

class Metaspace final : public PreTokenizer {
 public:
  Metaspace(std::string replacement, PrependScheme scheme, bool split)
      : replacement_(std::move(replacement)), scheme_(scheme), split_(split) {
    size_t at = 0;
    character_ = next_char(replacement_, at);
  }

  void apply(PieceList& list) const override {
    rebuild(list, [&](const Piece& piece, AlignedText& out) {
      const AlignedText& text = list.text;
      const bool starts = text.bytes[piece.begin] == ' ' || list.view(piece).starts_with(replacement_);
      const bool prepend = scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && text.spans[piece.begin].begin == 0);
      if (prepend && !starts) out.append(replacement_, text.spans[piece.begin]);
      for (size_t i = piece.begin; i < piece.end; ++i) {
        if (text.bytes[i] == ' ') {
          out.append(replacement_, text.spans[i]);
        } else {
          out.append(text, i, i + 1);
        }
      }
    });
    if (split_) split_chars(list, SplitBehavior::kMergedWithNext, [&](char32_t c) { return c == character_; });
  }

 private:
  std::string replacement_;
  char32_t character_ = 0;
  PrependScheme scheme_;
  bool split_;
};

/// Pre-tokenizers that look at single characters.
template <typename IsMatch>
class CharSplit final : public PreTokenizer {
 public:
  CharSplit(SplitBehavior behavior, IsMatch is_match) : behavior_(behavior), is_match_(is_match) {}
  void apply(PieceList& list) const override { split_chars(list, behavior_, is_match_); }

 private:
  SplitBehavior behavior_;
  IsMatch is_match_;
};

template <typename IsMatch>
PreTokenizerPtr make_char_split(SplitBehavior behavior, IsMatch is_match) {
  return std::make_unique<CharSplit<IsMatch>>(behavior, is_match);
}

/// Cuts where the script changes; Hiragana and Katakana count as Han, a space belongs to any script.
class UnicodeScripts final : public PreTokenizer {
 public:
  void apply(PieceList& list) const override {
    Splitter(list, SplitBehavior::kIsolated).run([](std::string_view text, std::vector<Match>& parts) {
      constexpr int kAny = -1, kStart = -2;
      int last = kStart;
      size_t begin = 0;
      bool started = false;
      for (size_t i = 0; i < text.size();) {
        const size_t at = i;
        const int script = joined_script(next_char(text, i));
        if (script == kAny) continue;
        if (last != script) {
          if (started) parts.push_back({begin, at, true});
          begin = at;  // what stands before the first character with a script belongs to no piece
          started = true;
        }
        last = script;
      }
      if (started) parts.push_back({begin, text.size(), true});
    });
  }

 private:
  static int joined_script(char32_t c) {
    if (c == ' ') return -1;
    if (c == 0x30FC) return USCRIPT_HAN;
    const int script = script_of(c);
    if (script == USCRIPT_UNKNOWN) return -1;
    return script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ? int{USCRIPT_HAN} : script;
  }
};

class FixedLength final : public PreTokenizer {
 public:
  explicit FixedLength(size_t length) : length_(length) {}
  void apply(PieceList& list) const override {
    Splitter(list, SplitBehavior::kIsolated).run([&](std::string_view text, std::vector<Match>& parts) {
      for (size_t i = 0; i < text.size();) {
        const size_t begin = i;
        for (size_t k = 0; k < length_ && i < text.size(); ++k) next_char(text, i);
        parts.push_back({begin, i, true});
      }
    });
  }

 private:
  size_t length_;
};

}  // namespace

PreTokenizerPtr make_pre_tokenizer_sequence(std::vector<PreTokenizerPtr> steps) { return std::make_unique<Sequence>(std::move(steps)); }
PreTokenizerPtr make_split(Regex pattern, SplitBehavior behavior, bool invert) {
  return std::make_unique<Split>(std::move(pattern), behavior, invert);
}
PreTokenizerPtr make_byte_level(bool add_prefix_space, bool use_regex) { return std::make_unique<ByteLevel>(add_prefix_space, use_regex); }
PreTokenizerPtr make_metaspace(std::string replacement, PrependScheme scheme, bool split) {
  return std::make_unique<Metaspace>(std::move(replacement), scheme, split);
}
PreTokenizerPtr make_char_delimiter(char32_t delimiter) {
  return make_char_split(SplitBehavior::kRemoved, [delimiter](char32_t c) { return c == delimiter; });
}
PreTokenizerPtr make_whitespace_split() { return make_char_split(SplitBehavior::kRemoved, is_whitespace); }
PreTokenizerPtr make_bert_pre_tokenizer() {
  std::vector<PreTokenizerPtr> steps;
  steps.push_back(make_whitespace_split());
  steps.push_back(make_punctuation(SplitBehavior::kIsolated));
  return make_pre_tokenizer_sequence(std::move(steps));
}
PreTokenizerPtr make_punctuation(SplitBehavior behavior) { return make_char_split(behavior, is_any_punctuation); }
PreTokenizerPtr make_digits(bool individual) {
  return make_char_split(individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, is_numeric);
}
PreTokenizerPtr make_unicode_scripts() { return std::make_unique<UnicodeScripts>(); }
PreTokenizerPtr make_fixed_length(size_t length) { return std::make_unique<FixedLength>(length); }

}  // namespace citius::tok
