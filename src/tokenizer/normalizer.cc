#include "tokenizer/normalizer.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "tokenizer/regex.h"
#include "tokenizer/unicode.h"

namespace citius::tok {
namespace {

/// Rewrites the text one character at a time; `map` appends what stands for the character, all of it with its span.
template <typename Map>
void map_chars(const AlignedText& in, AlignedText& out, Map map) {
  for (size_t i = 0; i < in.size();) {
    const TextSpan span = in.spans[i];
    const char32_t c = next_char(in.bytes, i);
    map(c, [&](char32_t mapped) { out.append(mapped, span); });
  }
}

// Replacements that multiply a text must not fill the memory: in sound tokenizers a character becomes a handful.
void check_growth(size_t from, size_t to) {
  constexpr size_t kMostTimes = 64, kSlack = size_t{64} << 10;
  if (to / kMostTimes > from && to > kSlack) {
    fail_input("normalizer", "makes {} bytes or more from {}, expected at most {} times as many", to, from, kMostTimes);
  }
}

class Sequence final : public Normalizer {
 public:
  explicit Sequence(std::vector<NormalizerPtr> steps) : steps_(std::move(steps)) {}
  void apply(const AlignedText& in, int32_t origin, AlignedText& out) const override {
    AlignedText current = in;
    for (const NormalizerPtr& step : steps_) {
      AlignedText next;
      step->apply(current, origin, next);
      current = std::move(next);
      check_growth(in.size(), current.size());
    }
    out.append(current, 0, current.size());
  }

 private:
  std::vector<NormalizerPtr> steps_;
};

class Bert final : public Normalizer {
 public:
  Bert(bool clean_text, bool chinese, bool strip_accents, bool lowercase)
      : clean_text_(clean_text), chinese_(chinese), strip_accents_(strip_accents), lowercase_(lowercase) {}

  void apply(const AlignedText& in, int32_t origin, AlignedText& out) const override {
    AlignedText cleaned;
    map_chars(in, cleaned, [&](char32_t c, auto put) {
      if (clean_text_) {
        const bool spacing = c == '\t' || c == '\n' || c == '\r';
        if (c == 0 || c == 0xFFFD || (!spacing && is_other(c))) return;
        if (is_whitespace(c)) c = ' ';
      }
      const bool chinese = chinese_ && is_chinese(c);
      if (chinese) put(' ');
      put(c);
      if (chinese) put(' ');
    });
    if (strip_accents_) {
      AlignedText decomposed;
      normalize_unicode(NormalForm::kNfd, cleaned, origin, decomposed);
      cleaned.clear();
      map_chars(decomposed, cleaned, [](char32_t c, auto put) {
        if (!is_nonspacing_mark(c)) put(c);
      });
    }
    map_chars(cleaned, out, [&](char32_t c, auto put) {
      char32_t lower[2] = {c, 0};
      const int count = lowercase_ ? to_lower(c, lower) : 1;
      for (int i = 0; i < count; ++i) put(lower[i]);
    });
  }

 private:
  bool clean_text_, chinese_, strip_accents_, lowercase_;
};

class UnicodeForm final : public Normalizer {
 public:
  explicit UnicodeForm(NormalForm form) : form_(form) {}
  void apply(const AlignedText& in, int32_t origin, AlignedText& out) const override { normalize_unicode(form_, in, origin, out); }

 private:
  NormalForm form_;
};

class Lowercase final : public Normalizer {
 public:
  void apply(const AlignedText& in, int32_t, AlignedText& out) const override {
    map_chars(in, out, [](char32_t c, auto put) {
      char32_t lower[2];
      const int count = to_lower(c, lower);
      for (int i = 0; i < count; ++i) put(lower[i]);
    });
  }
};

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  void apply(const AlignedText& in, int32_t, AlignedText& out) const override {
    size_t begin = 0, end = in.size();
    for (size_t i = begin; left_ && i < end && is_whitespace(next_char(in.bytes, i));) begin = i;
    for (size_t i = end; right_ && i > begin && is_whitespace(previous_char(in.bytes, i));) end = i;
    out.append(in, begin, end);
  }

 private:
  bool left_, right_;
};

class StripAccents final : public Normalizer {
 public:
  void apply(const AlignedText& in, int32_t, AlignedText& out) const override {
    map_chars(in, out, [](char32_t c, auto put) {
      if (!is_combining_mark(c)) put(c);
    });
  }
};

/// The clean-up of Google's NMT systems.
class Nmt final : public Normalizer {
 public:
  void apply(const AlignedText& in, int32_t, AlignedText& out) const override {
    map_chars(in, out, [](char32_t c, auto put) {
      const bool control = (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
      if (control) return;
      const bool space = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
                         c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      put(space ? U' ' : c);
    });
  }
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  void apply(const AlignedText& in, int32_t, AlignedText& out) const override {
    if (in.size() > 0) out.append(prefix_, in.spans.front());
    out.append(in, 0, in.size());
  }

 private:
  std::string prefix_;
};

class ByteLevel final : public Normalizer {
 public:
  void apply(const AlignedText& in, int32_t, AlignedText& out) const override { append_byte_level(in, 0, in.size(), out); }
};

class Replace final : public Normalizer {
 public:
  Replace(Regex pattern, std::string content) : pattern_(std::move(pattern)), content_(std::move(content)) {}
  void apply(const AlignedText& in, int32_t origin, AlignedText& out) const override {
    const size_t before = out.size();
    std::vector<Match> parts;
    pattern_.find_all(in.bytes, parts);
    for (const Match& part : parts) {
      if (!part.matched) {
        out.append(in, part.begin, part.end);
      } else {  // the new text stands for the last character of the old one
        out.append(content_, part.end > 0 ? in.spans[part.end - 1] : TextSpan{origin, origin});
        check_growth(in.size(), out.size() - before);
      }
    }
  }

 private:
  Regex pattern_;
  std::string content_;
};

/// The character maps of SentencePiece models. The trie is Darts' double array: each 32-bit unit holds a label, an
/// offset to the children and a flag that a value hangs below.
class Precompiled final : public Normalizer {
 public:
  Precompiled(const std::string& charsmap, std::string_view where) {
    if (charsmap.size() < 4) fail_input(where, "character map has {} bytes, expected at least 4", charsmap.size());
    const size_t trie_bytes = read_unit(charsmap, 0);
    if (trie_bytes > charsmap.size() - 4) {
      fail_input(where, "character map: the trie has {} bytes, expected at most {}", trie_bytes, charsmap.size() - 4);
    }
    units_.resize(trie_bytes / 4);
    for (size_t i = 0; i < units_.size(); ++i) units_[i] = read_unit(charsmap, 4 + i * 4);
    replacements_ = charsmap.substr(4 + units_.size() * 4);
    if (!is_valid_utf8(replacements_)) fail_input(where, "character map: the replacements are not valid UTF-8");
  }

  void apply(const AlignedText& in, int32_t origin, AlignedText& out) const override {
    // What changes is collected first: the spans of the whole text are those of the rewriting rules, which the
    // `tokenizers` package applies only where anything changed.
    std::vector<std::pair<char32_t, int>> changes;
    bool modified = false;
    const auto replace = [&](std::string_view part) {
      std::string_view replacement;
      if (!find(part, replacement)) return false;
      modified = true;
      push_replacement(part, replacement, changes);
      return true;
    };
    for (size_t begin = 0; begin < in.size();) {
      const size_t end = grapheme_end(in.bytes, begin);
      const std::string_view grapheme = std::string_view(in.bytes).substr(begin, end - begin);
      if (grapheme.size() >= 6 || !replace(grapheme)) {
        for (size_t i = 0; i < grapheme.size();) {
          const size_t first = i;
          const char32_t c = next_char(grapheme, i);
          if (!replace(grapheme.substr(first, i - first))) changes.emplace_back(c, 0);
        }
      }
      begin = end;
    }
    if (!modified) {
      out.append(in, 0, in.size());
      return;
    }
    Rewriter rewriter(in, origin, out);
    for (const auto& [c, change] : changes) rewriter.put(c, change);
  }

 private:
  static uint32_t read_unit(const std::string& bytes, size_t at) {
    uint32_t unit = 0;
    for (size_t i = 0; i < 4; ++i) unit |= static_cast<uint32_t>(static_cast<unsigned char>(bytes[at + i])) << (8 * i);
    return unit;
  }

  /// The replacement of the shortest entry that `text` starts with: what the `tokenizers` package looks up.
  bool find(std::string_view text, std::string_view& replacement) const {
    if (units_.empty()) return false;
    const auto offset = [](uint32_t unit) { return static_cast<size_t>(unit >> 10) << ((unit & (1u << 9)) >> 6); };
    size_t node = offset(units_[0]);
    for (const char byte : text) {
      if (byte == '\0') return false;
      node ^= static_cast<unsigned char>(byte);
      if (node >= units_.size()) return false;
      const uint32_t unit = units_[node];
      if ((unit & (1u << 31 | 0xFFu)) != static_cast<unsigned char>(byte)) return false;
      node ^= offset(unit);
      if ((unit >> 8 & 1) != 0) {
        if (node >= units_.size()) return false;
        const size_t begin = units_[node] & ((1u << 31) - 1);
        if (begin > replacements_.size()) return false;
        if (begin < replacements_.size() && (replacements_[begin] & 0xC0) == 0x80) return false;  // inside a character
        const size_t end = std::min(replacements_.find('\0', begin), replacements_.size());
        replacement = std::string_view(replacements_).substr(begin, end - begin);
        return true;
      }
    }
    return false;
  }

  /// `part` becomes `replacement`: characters stand for one another in turn; surplus ones are inserted after, missing
  /// ones are swallowed by what was put out last, even where that belongs to an earlier part.
  static void push_replacement(std::string_view part, std::string_view replacement, std::vector<std::pair<char32_t, int>>& changes) {
    for (size_t i = 0; i < replacement.size();) changes.emplace_back(next_char(replacement, i), 0);
    const auto difference = static_cast<int64_t>(count_chars(replacement)) - static_cast<int64_t>(count_chars(part));
    for (int64_t i = 0; i < difference; ++i) changes[changes.size() - 1 - static_cast<size_t>(i)].second = 1;
    if (difference < 0 && !changes.empty()) changes.back().second += static_cast<int>(difference);
  }

  std::vector<uint32_t> units_;
  std::string replacements_;
};

std::array<char32_t, 256> make_byte_chars() {
  std::array<char32_t, 256> chars{};
  char32_t next = 256;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    chars[byte] = printable ? byte : next++;
  }
  return chars;
}

const std::array<char32_t, 256> kByteChars = make_byte_chars();

std::array<int16_t, 0x144> make_char_bytes() {
  std::array<int16_t, 0x144> bytes;
  bytes.fill(-1);
  const std::array<char32_t, 256> chars = make_byte_chars();
  for (size_t byte = 0; byte < 256; ++byte) bytes[chars[byte]] = static_cast<int16_t>(byte);
  return bytes;
}

const std::array<int16_t, 0x144> kCharBytes = make_char_bytes();

}  // namespace

char32_t byte_to_char(unsigned char byte) { return kByteChars[byte]; }

int char_to_byte(char32_t c) { return c < kCharBytes.size() ? kCharBytes[c] : -1; }

void append_byte_level(const AlignedText& in, size_t begin, size_t end, AlignedText& out) {
  for (size_t i = begin; i < end; ++i) out.append(kByteChars[static_cast<unsigned char>(in.bytes[i])], in.spans[i]);
}

std::string replace_all(const Regex& pattern, std::string_view text, std::string_view content) {
  std::vector<Match> parts;
  pattern.find_all(text, parts);
  std::string out;
  for (const Match& part : parts) out += part.matched ? content : text.substr(part.begin, part.end - part.begin);
  return out;
}

NormalizerPtr make_normalizer_sequence(std::vector<NormalizerPtr> steps) { return std::make_unique<Sequence>(std::move(steps)); }
NormalizerPtr make_bert_normalizer(bool clean_text, bool handle_chinese_chars, bool strip_accents, bool lowercase) {
  return std::make_unique<Bert>(clean_text, handle_chinese_chars, strip_accents, lowercase);
}
NormalizerPtr make_unicode_normalizer(std::string_view form, std::string_view where) {
  if (form == "NFC") return std::make_unique<UnicodeForm>(NormalForm::kNfc);
  if (form == "NFD") return std::make_unique<UnicodeForm>(NormalForm::kNfd);
  if (form == "NFKC") return std::make_unique<UnicodeForm>(NormalForm::kNfkc);
  if (form == "NFKD") return std::make_unique<UnicodeForm>(NormalForm::kNfkd);
  fail_input(where, "got normal form '{}', expected NFC, NFD, NFKC or NFKD", form);
}
NormalizerPtr make_lowercase() { return std::make_unique<Lowercase>(); }
NormalizerPtr make_strip(bool left, bool right) { return std::make_unique<Strip>(left, right); }
NormalizerPtr make_strip_accents() { return std::make_unique<StripAccents>(); }
NormalizerPtr make_nmt() { return std::make_unique<Nmt>(); }
NormalizerPtr make_prepend(std::string prefix) { return std::make_unique<Prepend>(std::move(prefix)); }
NormalizerPtr make_byte_level_normalizer() { return std::make_unique<ByteLevel>(); }
NormalizerPtr make_precompiled(std::string charsmap, std::string_view where) { return std::make_unique<Precompiled>(charsmap, where); }
NormalizerPtr make_replace(Regex pattern, std::string content) { return std::make_unique<Replace>(std::move(pattern), std::move(content)); }

}  // namespace citius::tok
