#include "tokenizer/unicode.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>

#include <algorithm>
#include <vector>

#include "base/check.h"

namespace citius::tok {
namespace {

UChar32 icu(char32_t c) { return static_cast<UChar32>(c); }

/// Whether `c` was assigned in Unicode `major`.0.
bool assigned_by(char32_t c, int major) {
  UVersionInfo age;
  u_charAge(icu(c), age);
  return age[0] != 0 && (age[0] < major || (age[0] == major && age[1] == 0));
}

uint32_t category(char32_t c) { return U_GET_GC_MASK(icu(c)); }

}  // namespace

bool is_whitespace(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13);
  return u_isUWhiteSpace(icu(c)) != 0;
}

bool is_numeric(char32_t c) {
  if (c < 0x80) return c >= '0' && c <= '9';
  return (category(c) & U_GC_N_MASK) != 0;
}

bool is_word(char32_t c) {
  if (c < 0x80) return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  if (u_hasBinaryProperty(icu(c), UCHAR_ALPHABETIC) || u_hasBinaryProperty(icu(c), UCHAR_JOIN_CONTROL)) return true;
  return (category(c) & (U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK)) != 0;
}

bool is_ascii_punctuation(char32_t c) {
  return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
}

// Code points whose category changed after Unicode 8 and 9 are named where they matter.
bool is_punctuation(char32_t c) {
  if (c == 0x166D || c == 0x111C9) return true;
  return (category(c) & U_GC_P_MASK) != 0 && assigned_by(c, 8);
}

bool is_other(char32_t c) {
  if (c < 0x80) return c < 32 || c == 127;
  return (category(c) & (U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK)) != 0 && assigned_by(c, 8);
}

bool is_nonspacing_mark(char32_t c) {
  if (c < 0x300 || c == 0x1885 || c == 0x1886 || c == 0xA9BD || c == 0x111C9) return false;
  return c == 0x1734 || ((category(c) & U_GC_MN_MASK) != 0 && assigned_by(c, 8));
}

bool is_combining_mark(char32_t c) {
  if (c < 0x300 || c == 0x111C9) return false;
  return c == 0x1CF2 || c == 0x1CF3 || ((category(c) & U_GC_M_MASK) != 0 && assigned_by(c, 9));
}

bool is_chinese(char32_t c) {
  if (c < 0x3400) return false;
  return (c >= 0x4E00 && c <= 0x9FFF) || c <= 0x4DBF || (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
         (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

int script_of(char32_t c) {
  UErrorCode error = U_ZERO_ERROR;
  return assigned_by(c, 9) ? uscript_getScript(icu(c), &error) : int{USCRIPT_UNKNOWN};
}

int to_lower(char32_t c, char32_t out[2]) {
  if (c < 0x80) {
    out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
    return 1;
  }
  if (c == 0x130) {  // the only one that lower-cases to two code points
    out[0] = 'i';
    out[1] = 0x307;
    return 2;
  }
  out[0] = static_cast<char32_t>(u_tolower(icu(c)));
  return 1;
}

// ---- normalisation ----
namespace {

const icu::Normalizer2& normalizer2(bool compatible) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* instance = compatible ? icu::Normalizer2::getNFKCInstance(error) : icu::Normalizer2::getNFCInstance(error);
  CHECK(U_SUCCESS(error) && instance != nullptr);
  return *instance;
}

struct Changed {
  char32_t c;
  int change;
  uint8_t combining_class;
  uint32_t order = 0;
};

uint8_t combining_class(char32_t c) {
  if (c < 0x300 || !assigned_by(c, 9)) return 0;
  return u_getCombiningClass(icu(c));
}

/// Calls `push` with each character of the full decomposition of `c`.
template <typename Push>
void decompose(const icu::Normalizer2& normalizer, char32_t c, Push push) {
  icu::UnicodeString parts;
  if (c < 0xA0 || !assigned_by(c, 9) || !normalizer.getDecomposition(icu(c), parts)) {
    push(Changed{c, 0, combining_class(c)});
    return;
  }
  for (int32_t i = 0; i < parts.length(); i = parts.moveIndex32(i, 1)) {
    const auto part = static_cast<char32_t>(parts.char32At(i));
    push(Changed{part, i == 0 ? 0 : 1, combining_class(part)});
  }
}

/// The composite of two characters, or 0.
char32_t compose(const icu::Normalizer2& normalizer, char32_t a, char32_t b) {
  const UChar32 composite = normalizer.composePair(icu(a), icu(b));
  if (composite < 0 || !assigned_by(static_cast<char32_t>(composite), 9)) return 0;
  return static_cast<char32_t>(composite);
}

/// Canonical composition over a decomposed and ordered text. Characters that are swallowed lower the change of the one
/// that they are merged into; what is put out keeps the order in which it becomes certain.
class Composer {
 public:
  Composer(const icu::Normalizer2& normalizer, Rewriter& out) : normalizer_(normalizer), out_(out) {}

  void push(const Changed& next) {
    if (!has_starter_) {
      if (next.combining_class != 0) {
        out_.put(next.c, next.change);
      } else {
        start(next);
      }
      return;
    }
    const bool blocked = !waiting_.empty() && last_class_ >= next.combining_class;
    if (!blocked) {
      if (const char32_t composite = compose(normalizer_, starter_.c, next.c)) {
        starter_.c = composite;
        starter_.change += next.change - 1;
        return;
      }
    }
    if (next.combining_class == 0) {
      flush();
      start(next);
      return;
    }
    waiting_.push_back(next);
    last_class_ = next.combining_class;
  }

  void flush() {
    if (has_starter_) out_.put(starter_.c, starter_.change);
    for (const Changed& mark : waiting_) out_.put(mark.c, mark.change);
    waiting_.clear();
    has_starter_ = false;
  }

 private:
  void start(const Changed& next) {
    starter_ = next;
    has_starter_ = true;
  }

  const icu::Normalizer2& normalizer_;
  Rewriter& out_;
  bool has_starter_ = false;
  Changed starter_{};
  std::vector<Changed> waiting_;  // marks that could not be merged
  uint8_t last_class_ = 0;
};

}  // namespace

bool is_surely_normal(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void normalize_unicode(NormalForm form, const AlignedText& in, int32_t origin, AlignedText& out) {
  if (is_surely_normal(in.bytes)) {
    out.append(in, 0, in.size());
    return;
  }
  const icu::Normalizer2& normalizer = normalizer2(form == NormalForm::kNfkc || form == NormalForm::kNfkd);
  const bool composing = form == NormalForm::kNfc || form == NormalForm::kNfkc;
  Rewriter rewriter(in, origin, out);
  Composer composer(normalizer2(/*compatible=*/false), rewriter);
  std::vector<Changed> pending;  // a starter and its marks, not yet in canonical order
  const auto release = [&] {
    for (uint32_t i = 0; i < pending.size(); ++i) pending[i].order = i;  // marks of one class keep their order
    const auto before = [](const Changed& a, const Changed& b) {
      return a.combining_class != b.combining_class ? a.combining_class < b.combining_class : a.order < b.order;
    };
    if (!std::is_sorted(pending.begin(), pending.end(), before)) std::sort(pending.begin(), pending.end(), before);
    for (const Changed& next : pending) {
      if (composing) {
        composer.push(next);
      } else {
        rewriter.put(next.c, next.change);
      }
    }
    pending.clear();
  };
  for (size_t i = 0; i < in.size();) {
    decompose(normalizer, next_char(in.bytes, i), [&](const Changed& next) {
      if (next.combining_class == 0) release();
      pending.push_back(next);
    });
  }
  release();
  if (composing) composer.flush();
}

// ---- grapheme clusters (UAX 29, GB3 to GB13) ----
namespace {

int grapheme_break(char32_t c) { return u_getIntPropertyValue(icu(c), UCHAR_GRAPHEME_CLUSTER_BREAK); }

/// Indic consonants and viramas of the scripts whose conjuncts stay together (GB9c); ICU 72 does not know them.
bool in_conjunct_script(char32_t c) {
  UErrorCode error = U_ZERO_ERROR;
  switch (uscript_getScript(icu(c), &error)) {
    case USCRIPT_BENGALI:
    case USCRIPT_DEVANAGARI:
    case USCRIPT_GUJARATI:
    case USCRIPT_MALAYALAM:
    case USCRIPT_ORIYA:
    case USCRIPT_TELUGU: return true;
    default: return false;
  }
}

bool is_conjunct_consonant(char32_t c) {
  return c >= 0x900 && c <= 0xD7F && in_conjunct_script(c) &&
         u_getIntPropertyValue(icu(c), UCHAR_INDIC_SYLLABIC_CATEGORY) == U_INSC_CONSONANT;
}

bool is_conjunct_linker(char32_t c) {
  return c >= 0x900 && c <= 0xD7F && in_conjunct_script(c) && u_getIntPropertyValue(icu(c), UCHAR_INDIC_SYLLABIC_CATEGORY) == U_INSC_VIRAMA;
}

/// What a cluster so far says on whether the next character belongs to it.
struct ClusterState {
  int previous = 0;           // break property of the last character
  bool pictographic = false;  // an emoji, then only extending characters
  int regional = 0;           // regional indicators in a row
  bool consonant = false;     // an Indic consonant, then only extending characters
  bool linker = false;        // ... one of them a virama
};

bool joins(const ClusterState& state, int next, char32_t c) {
  const int previous = state.previous;
  if (previous == U_GCB_CR) return next == U_GCB_LF;
  if (previous == U_GCB_CONTROL || previous == U_GCB_LF) return false;
  if (next == U_GCB_CONTROL || next == U_GCB_CR || next == U_GCB_LF) return false;
  if (previous == U_GCB_L && (next == U_GCB_L || next == U_GCB_V || next == U_GCB_LV || next == U_GCB_LVT)) return true;
  if ((previous == U_GCB_LV || previous == U_GCB_V) && (next == U_GCB_V || next == U_GCB_T)) return true;
  if ((previous == U_GCB_LVT || previous == U_GCB_T) && next == U_GCB_T) return true;
  if (next == U_GCB_EXTEND || next == U_GCB_ZWJ || next == U_GCB_SPACING_MARK || previous == U_GCB_PREPEND) return true;
  if (state.linker && is_conjunct_consonant(c)) return true;
  if (state.pictographic && previous == U_GCB_ZWJ && u_hasBinaryProperty(icu(c), UCHAR_EXTENDED_PICTOGRAPHIC)) return true;
  return state.regional % 2 == 1 && next == U_GCB_REGIONAL_INDICATOR;
}

void advance(ClusterState& state, int next, char32_t c) {
  const bool extends = next == U_GCB_EXTEND || next == U_GCB_ZWJ;
  state.previous = next;
  state.regional = next == U_GCB_REGIONAL_INDICATOR ? state.regional + 1 : 0;
  if (!extends) state.pictographic = u_hasBinaryProperty(icu(c), UCHAR_EXTENDED_PICTOGRAPHIC) != 0;
  if (is_conjunct_consonant(c)) {
    state.consonant = true;
    state.linker = false;
  } else if (!extends) {
    state.consonant = state.linker = false;
  } else if (state.consonant && is_conjunct_linker(c)) {
    state.linker = true;
  }
}

}  // namespace

size_t grapheme_end(std::string_view text, size_t begin) {
  size_t position = begin;
  // Two ASCII letters never join; this is most of most texts.
  if (begin + 1 < text.size() && text[begin] >= ' ' && text[begin] < 0x7F && text[begin + 1] >= ' ' && text[begin + 1] < 0x7F) {
    return begin + 1;
  }
  char32_t c = next_char(text, position);
  ClusterState state;
  advance(state, grapheme_break(c), c);
  while (position < text.size()) {
    size_t after = position;
    c = next_char(text, after);
    const int next = grapheme_break(c);
    if (!joins(state, next, c)) break;
    advance(state, next, c);
    position = after;
  }
  return position;
}

}  // namespace citius::tok
