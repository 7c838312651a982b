// Regular expressions of tokenizer files. They are written for Oniguruma (Ruby syntax); this translates what differs to
// PCRE2, refuses what cannot be said there, and bounds the work of a match, so that a hostile expression ends in an error.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pcre2_real_code_8;

namespace citius::tok {

struct Match {
  size_t begin = 0;
  size_t end = 0;
  bool matched = false;
};

class Regex {
 public:
  /// Throws Error{kInput} where the pattern is wrong or unsupported. `where` is named in errors.
  Regex(std::string_view pattern, std::string_view where);
  /// A pattern that matches `text` and nothing else.
  static Regex literal(std::string_view text, std::string_view where);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) = delete;

  /// Cuts `text` (valid UTF-8) into matches and what lies between them, in order; empty parts between are left out.
  /// Throws Error{kInput} where matching takes more steps than any sane pattern needs.
  void find_all(std::string_view text, std::vector<Match>& out) const;

 private:
  Regex() = default;
  void compile(const std::string& pattern, std::string_view original);
  pcre2_real_code_8* code_ = nullptr;
  std::string pattern_;
  std::string where_;
};

/// The pattern in PCRE2's syntax.
std::string translate_pattern(std::string_view pattern, std::string_view where);

}  // namespace citius::tok
