#include "tokenizer/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "base/error.h"
#include "tokenizer/text.h"
#include "tokenizer/unicode.h"

namespace citius::tok {
namespace {

constexpr size_t kMaxPatternBytes = 64 << 10;
constexpr uint32_t kMatchLimit = 20'000'000;  // a text of one 1 MB word needs about one step a character
constexpr uint32_t kHeapLimitKib = 512 << 10;

/// Oniguruma's classes in terms that both libraries share. In PCRE2 10.42 \s takes in U+180E and \w leaves out marks.
constexpr std::string_view kSpace = "\\t-\\r\\x{85}\\p{Z}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}";

class Translator {
 public:
  Translator(std::string_view pattern, std::string_view where) : in_(pattern), where_(where) {}

  std::string run() {
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == '\\') {
        escape(/*in_class=*/false);
      } else if (c == '[') {
        character_class();
      } else {
        if (c == '(') check_group();
        out_ += c;
        ++at_;
      }
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const { fail_input(where_, "regular expression '{}': {} is not supported", in_, what); }

  void check_group() const {
    const std::string_view rest = in_.substr(at_);
    if (rest.starts_with("(?m") || rest.starts_with("(?-m") || rest.starts_with("(?~")) refuse(rest.substr(0, 4));
  }

  void escape(bool in_class) {
    if (at_ + 1 >= in_.size()) fail_input(where_, "regular expression '{}' ends in a backslash", in_);
    const char c = in_[at_ + 1];
    at_ += 2;
    switch (c) {
      case 's': put_class(kSpace, in_class); return;
      case 'S': out_ += in_class ? std::string("\\S\\x{180E}") : fmt::format("[^{}]", kSpace); return;
      case 'w': put_class(kWord, in_class); return;
      case 'W':
        if (in_class) refuse("\\W inside a class");
        out_ += fmt::format("[^{}]", kWord);
        return;
      case 'd': put_class("\\p{Nd}", in_class); return;
      case 'D': put_class("\\P{Nd}", in_class); return;
      case 'h': put_class("0-9a-fA-F", in_class); return;
      case 'u': unicode_escape(); return;
      case 'p':
      case 'P': property(c == 'P', in_class); return;
      case 'g':
      case 'k':
      case 'R':
      case 'X':
      case 'Q':
      case 'E':
      case 'K':
      case 'G':
      case 'C':
      case 'N':
      case 'y':
      case 'Y':
      case 'H': refuse(fmt::format("\\{}", c));
      default: out_ += '\\'; out_ += c;
    }
  }

  void put_class(std::string_view members, bool in_class) { out_ += in_class ? std::string(members) : fmt::format("[{}]", members); }

  void unicode_escape() {
    const std::string_view digits = in_.substr(at_, 4);
    if (digits.size() != 4 || !std::all_of(digits.begin(), digits.end(), [](unsigned char d) { return std::isxdigit(d); }))
      refuse("\\u without four hexadecimal digits");
    out_ += fmt::format("\\x{{{}}}", digits);
    at_ += 4;
  }

  void property(bool negated, bool in_class) {
    const size_t close = in_.find('}', at_);
    if (at_ >= in_.size() || in_[at_] != '{' || close == std::string_view::npos) refuse("\\p without braces");
    std::string name(in_.substr(at_ + 1, close - at_ - 1));
    at_ = close + 1;
    if (name.starts_with('^')) {
      negated = !negated;
      name.erase(0, 1);
    }
    std::string key;
    for (const char c : name) {
      if (c != '_' && c != '-' && c != ' ') key += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    const std::string members = property_members(key, name);
    if (members.starts_with("\\p{") && members.find('\\', 1) == std::string::npos) {
      out_ += negated ? "\\P" + members.substr(2) : members;
    } else if (!negated) {
      put_class(members, in_class);
    } else if (!in_class) {
      out_ += fmt::format("[^{}]", members);
    } else {
      refuse("a negated property of this kind inside a class");
    }
  }

  static std::string property_members(const std::string& key, const std::string& name) {
    static constexpr std::pair<std::string_view, std::string_view> kNames[] = {
        {"letter", "\\p{L}"},
        {"mark", "\\p{M}"},
        {"number", "\\p{N}"},
        {"punctuation", "\\p{P}"},
        {"symbol", "\\p{S}"},
        {"separator", "\\p{Z}"},
        {"other", "\\p{C}"},
        {"uppercaseletter", "\\p{Lu}"},
        {"lowercaseletter", "\\p{Ll}"},
        {"decimalnumber", "\\p{Nd}"},
        {"digit", "\\p{Nd}"},
        {"alpha", "\\p{Alphabetic}"},
        {"upper", "\\p{Uppercase}"},
        {"lower", "\\p{Lowercase}"},
        {"space", kSpace},
        {"word", kWord},
        {"alnum", "\\p{Alphabetic}\\p{Nd}"},
        {"punct", "\\p{P}$+<=>^`|~"},
        {"nonspacingmark", "\\p{Mn}"},
        {"spacingmark", "\\p{Mc}"},
        {"any", "\\p{Any}"},
    };
    for (const auto& [long_name, members] : kNames) {
      if (key == long_name) return std::string(members);
    }
    // One or two letters are a general category; anything longer is a script (not script extensions, PCRE2's default)
    // or a binary property.
    if (key.size() <= 2) return fmt::format("\\p{{{}}}", name);
    static constexpr std::string_view kBinary[] = {"alphabetic",  "uppercase", "lowercase",           "whitespace",
                                                   "ideographic", "emoji",     "extendedpictographic"};
    if (std::find(std::begin(kBinary), std::end(kBinary), key) != std::end(kBinary)) return fmt::format("\\p{{{}}}", name);
    return fmt::format("\\p{{sc:{}}}", name);
  }

  void character_class() {
    out_ += in_[at_++];
    if (at_ < in_.size() && in_[at_] == '^') out_ += in_[at_++];
    bool first = true;
    while (at_ < in_.size()) {
      const char c = in_[at_];
      if (c == ']' && !first) {
        out_ += c;
        ++at_;
        return;
      }
      if (c == '\\') {
        escape(/*in_class=*/true);
      } else if (c == '[') {
        posix_class();
      } else if (c == '&' && in_.substr(at_).starts_with("&&")) {
        refuse("the intersection of classes (&&)");
      } else {
        out_ += c;
        ++at_;
      }
      first = false;
    }
    fail_input(where_, "regular expression '{}' has a class without an end", in_);
  }

  void posix_class() {
    const size_t close = in_.find(":]", at_);
    if (!in_.substr(at_).starts_with("[:") || close == std::string_view::npos) refuse("a class inside a class");
    const std::string name(in_.substr(at_ + 2, close - at_ - 2));
    at_ = close + 2;
    static constexpr std::string_view kKnown[] = {"alpha", "digit", "lower", "upper", "space", "punct", "alnum", "word"};
    if (std::find(std::begin(kKnown), std::end(kKnown), name) == std::end(kKnown)) refuse("[:" + name + ":]");
    out_ += name == "punct" ? "\\p{P}\\p{S}" : property_members(name, name);
  }

  std::string_view in_;
  std::string_view where_;
  size_t at_ = 0;
  std::string out_;
};

struct MatchData {
  explicit MatchData(const pcre2_code* code)
      : data(pcre2_match_data_create_from_pattern(code, nullptr)), context(pcre2_match_context_create(nullptr)) {
    if (data == nullptr || context == nullptr) {
      pcre2_match_data_free(data);
      pcre2_match_context_free(context);
      throw std::bad_alloc();
    }
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapLimitKib);
  }
  ~MatchData() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
  MatchData(const MatchData&) = delete;
  MatchData& operator=(const MatchData&) = delete;
  pcre2_match_data* data;
  pcre2_match_context* context;
};

}  // namespace

std::string translate_pattern(std::string_view pattern, std::string_view where) { return Translator(pattern, where).run(); }

Regex::Regex(std::string_view pattern, std::string_view where) : pattern_(pattern), where_(where) {
  if (pattern.size() > kMaxPatternBytes) {
    fail_input(where, "regular expression has {} bytes, expected at most {}", pattern.size(), kMaxPatternBytes);
  }
  compile(translate_pattern(pattern, where), pattern);
}

Regex Regex::literal(std::string_view text, std::string_view where) {
  if (text.size() > kMaxPatternBytes) {
    fail_input(where, "pattern has {} bytes, expected at most {}", text.size(), kMaxPatternBytes);
  }
  std::string escaped;
  for (const char c : text) {
    if (c == '\0') {
      escaped += "\\x{0}";
      continue;
    }
    if (is_ascii_punctuation(static_cast<unsigned char>(c))) escaped += '\\';
    escaped += c;
  }
  Regex regex;
  regex.pattern_ = text;
  regex.where_ = where;
  regex.compile(escaped, text);
  return regex;
}

void Regex::compile(const std::string& pattern, std::string_view original) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  pcre2_compile_context* context = pcre2_compile_context_create(nullptr);
  if (context == nullptr) throw std::bad_alloc();
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                        PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &offset, context);
  pcre2_compile_context_free(context);
  if (code_ == nullptr) {
    PCRE2_UCHAR message[256];
    pcre2_get_error_message(error, message, sizeof message);
    fail_input(where_, "regular expression '{}' is not valid: {}", original, reinterpret_cast<const char*>(message));
  }
  pcre2_jit_compile(code_, PCRE2_JIT_COMPLETE);  // without it matching is slower and the same
}

Regex::~Regex() { pcre2_code_free(code_); }

Regex::Regex(Regex&& other) noexcept
    : code_(std::exchange(other.code_, nullptr)), pattern_(std::move(other.pattern_)), where_(std::move(other.where_)) {}

void Regex::find_all(std::string_view text, std::vector<Match>& out) const {
  if (text.empty()) {
    out.push_back({0, 0, false});
    return;
  }
  const MatchData match(code_);
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(match.data);
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  size_t start = 0, previous = 0;
  size_t last_match = std::string_view::npos;
  while (start <= text.size()) {
    int found = pcre2_match(code_, subject, text.size(), start, PCRE2_NO_UTF_CHECK, match.data, match.context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // deep recursion: the interpreter keeps its stack on the heap
      found = pcre2_match(code_, subject, text.size(), start, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match.data, match.context);
    }
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      fail_input(where_, "regular expression '{}' needs too much work on a text of {} bytes (PCRE2 error {})", pattern_, text.size(),
                 found);
    }
    const size_t begin = range[0], end = range[1];
    if (begin == end && end == last_match) {  // an empty match right after a match does not count
      if (start >= text.size()) break;
      start += static_cast<size_t>(utf8_length(text[start]));
      continue;
    }
    start = last_match = end;
    if (previous != begin) out.push_back({previous, begin, false});
    out.push_back({begin, end, true});
    previous = end;
  }
  if (previous != text.size()) out.push_back({previous, text.size(), false});
}

}  // namespace citius::tok
