#include "tokenizer/jinja/lexer.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

constexpr size_t kMaxTokens = 1 << 20;
constexpr size_t kNone = std::string_view::npos;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Every kind of line end becomes "\n"; one at the very end is dropped.
std::string normalize_lines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out.push_back(source[i]);
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalize_lines(source)), text_(source_) {}

  std::vector<Token> run() {
    while (pos_ < text_.size()) lex_root();
    push(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    fail_input(fmt::format("chat template, line {}", line_), "{}", fmt::format(format, std::forward<Args>(args)...));
  }

  void push(TokenKind kind, std::string text) {
    if (tokens_.size() >= kMaxTokens) fail("the template has more than {} tokens", kMaxTokens);
    tokens_.push_back({kind, std::move(text), line_});
  }

  /// Moves on, counting lines.
  void advance_to(size_t pos) {
    line_ += static_cast<int>(
        std::count(text_.begin() + static_cast<std::ptrdiff_t>(pos_), text_.begin() + static_cast<std::ptrdiff_t>(pos), '\n'));
    line_starts_ = pos > pos_ && text_[pos - 1] == '\n';
    pos_ = pos;
  }

  size_t skip_space(size_t pos) const {
    while (pos < text_.size()) {
      size_t after = pos;
      if (!is_space(next_code_point(text_, after))) break;
      pos = after;
    }
    return pos;
  }
  bool at(size_t pos, std::string_view what) const { return text_.substr(std::min(pos, text_.size())).starts_with(what); }

  char sign_at(size_t pos) const { return pos < text_.size() && (text_[pos] == '-' || text_[pos] == '+') ? text_[pos] : '\0'; }

  /// Text before a tag, less what the tag's sign or lstrip_blocks takes.
  void push_data(std::string_view data, char sign, bool is_variable) {
    std::string_view kept = data;
    if (sign == '-') {
      kept = strip(data, std::nullopt, /*left=*/false, /*right=*/true);
    } else if (sign != '+' && !is_variable) {
      const size_t newline = data.rfind('\n');
      const size_t line_begin = newline == kNone ? 0 : newline + 1;
      const std::string_view indent = data.substr(line_begin);
      if ((line_begin > 0 || line_starts_) && strip(indent, std::nullopt, true, true).empty()) {
        kept = data.substr(0, line_begin);
      }
    }
    if (!kept.empty()) push(TokenKind::kData, std::string(kept));
  }

  void lex_root() {
    size_t open = pos_;
    while (true) {
      open = text_.find('{', open);
      if (open == kNone || open + 1 == text_.size()) {
        push(TokenKind::kData, std::string(text_.substr(pos_)));
        pos_ = text_.size();
        return;
      }
      const char next = text_[open + 1];
      if (next == '{' || next == '%' || next == '#') break;
      ++open;
    }
    const char kind = text_[open + 1];
    const char sign = sign_at(open + 2);
    push_data(text_.substr(pos_, open - pos_), sign, kind == '{');
    const size_t inside = open + 2 + (sign != '\0' ? 1 : 0);
    if (kind == '%' && lex_raw(inside)) return;
    advance_to(inside);
    if (kind == '#') {
      lex_comment();
    } else {
      push(kind == '%' ? TokenKind::kBlockBegin : TokenKind::kVariableBegin, "");
      lex_tag(kind == '%');
    }
  }

  void lex_comment() {
    const size_t close = text_.find("#}", pos_);
    if (close == kNone && pos_ == text_.size()) return;  // Jinja lets this pass
    if (close == kNone) fail("a comment is not closed, expected '#}}'");
    const char sign = close > pos_ ? sign_at(close - 1) : '\0';
    advance_to(block_end(close + 2, sign));
  }

  /// Where the text after a closed block or comment begins.
  size_t block_end(size_t pos, char sign) const {
    if (sign == '-') return skip_space(pos);
    return sign != '+' && at(pos, "\n") ? pos + 1 : pos;
  }

  /// {% raw %} ... {% endraw %}. False where this is another block.
  bool lex_raw(size_t inside) {
    size_t pos = skip_space(inside);
    if (!at(pos, "raw")) return false;
    pos = skip_space(pos + 3);
    if (at(pos, "-%}")) {
      pos = skip_space(pos + 3);
    } else if (at(pos, "%}")) {
      pos += 2;
    } else {
      return false;
    }
    advance_to(pos);
    if (pos_ == text_.size()) return true;  // Jinja lets this pass
    for (size_t tag = pos_; (tag = text_.find("{%", tag)) != kNone; tag += 2) {
      const char sign = sign_at(tag + 2);
      size_t end = skip_space(tag + 2 + (sign != '\0' ? 1 : 0));
      if (!at(end, "endraw")) continue;
      end = skip_space(end + 6);
      const char close_sign = sign_at(end);
      if (close_sign != '\0') ++end;
      if (!at(end, "%}")) continue;
      push_data(text_.substr(pos_, tag - pos_), sign, /*is_variable=*/false);
      advance_to(block_end(end + 2, close_sign));
      return true;
    }
    fail("a raw block is not closed, expected 'endraw'");
  }

  /// The inside of {% %} or {{ }}, up to and with its end.
  void lex_tag(bool is_block) {
    brackets_.clear();
    const std::string_view close = is_block ? "%}" : "}}";
    while (true) {
      if (brackets_.empty()) {
        const char sign = sign_at(pos_);
        const bool signed_close = (sign == '-' || (sign == '+' && is_block)) && at(pos_ + 1, close);
        if (signed_close || at(pos_, close)) {
          push(is_block ? TokenKind::kBlockEnd : TokenKind::kVariableEnd, "");
          const size_t end = pos_ + (signed_close ? 3 : 2);
          const char effect = signed_close ? sign : '\0';
          advance_to(is_block || effect == '-' ? block_end(end, effect) : end);
          return;
        }
      }
      if (pos_ >= text_.size()) fail("the template ends inside a tag, expected '{}'", close);
      lex_token();
    }
  }

  void lex_token() {
    const size_t after_space = skip_space(pos_);
    if (after_space != pos_) {
      advance_to(after_space);
      return;
    }
    const char c = text_[pos_];
    if (is_digit(c)) return lex_number();
    if (c == '\'' || c == '"') return lex_string(c);
    size_t end = pos_;
    while (end < text_.size()) {
      size_t after = end;
      if (!is_identifier_part(next_code_point(text_, after))) break;
      end = after;
    }
    if (end == pos_) return lex_operator();
    const std::string_view name = text_.substr(pos_, end - pos_);
    if (!is_identifier(name)) fail("'{}' is not a name", name);
    push(TokenKind::kName, std::string(name));
    advance_to(end);
  }

  void lex_operator() {
    static constexpr std::array<std::string_view, 26> kOperators = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                                                    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    const auto* found = std::find_if(kOperators.begin(), kOperators.end(), [&](auto op) { return at(pos_, op); });
    if (found == kOperators.end()) {
      size_t after = pos_;
      next_code_point(text_, after);
      fail("unexpected character {}", quote(text_.substr(pos_, after - pos_)));
    }
    const char c = found->front();
    if (c == '(' || c == '[' || c == '{') brackets_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (brackets_.empty()) fail("unexpected '{}'", c);
      if (brackets_.back() != c) fail("unexpected '{}', expected '{}'", c, brackets_.back());
      brackets_.pop_back();
    }
    push(TokenKind::kOperator, std::string(*found));
    advance_to(pos_ + found->size());
  }

  /// Digits with single underscores between them; the end, or `pos` where there is none.
  template <typename Accept>
  size_t skip_digits(size_t pos, const Accept& accept) const {
    size_t end = pos;
    while (end < text_.size()) {
      const size_t digit = end > pos && text_[end] == '_' ? end + 1 : end;
      if (digit >= text_.size() || !accept(text_[digit])) break;
      end = digit + 1;
    }
    return end;
  }

  void lex_number() {
    const auto decimal = [](char c) { return is_digit(c); };
    size_t end = skip_digits(pos_, decimal);
    bool is_float = false;
    if (at(end, ".") && skip_digits(end + 1, decimal) > end + 1) {
      is_float = true;
      end = skip_digits(end + 1, decimal);
    }
    if (at(end, "e") || at(end, "E")) {
      const size_t digits = end + 1 + (sign_at(end + 1) != '\0' ? 1 : 0);
      if (skip_digits(digits, decimal) > digits) {
        is_float = true;
        end = skip_digits(digits, decimal);
      }
    }
    if (is_float && (pos_ == 0 || text_[pos_ - 1] != '.')) return push_number(TokenKind::kFloat, end);
    push_number(TokenKind::kInteger, integer_end());
  }

  size_t integer_end() const {
    if (text_[pos_] != '0') return skip_digits(pos_, is_digit);
    const char kind = pos_ + 1 < text_.size() ? static_cast<char>(text_[pos_ + 1] | 0x20) : '\0';
    const auto accept = [kind](char c) {
      if (kind == 'b') return c == '0' || c == '1';
      if (kind == 'o') return c >= '0' && c <= '7';
      return is_digit(c) || (static_cast<char>(c | 0x20) >= 'a' && static_cast<char>(c | 0x20) <= 'f');
    };
    if (kind == 'b' || kind == 'o' || kind == 'x') {
      const size_t digits = pos_ + 2 + (at(pos_ + 2, "_") ? 1 : 0);
      const size_t end = skip_digits(digits, accept);
      if (end > digits) return end;
    }
    return skip_digits(pos_, [](char c) { return c == '0'; });
  }

  void push_number(TokenKind kind, size_t end) {
    std::string digits(text_.substr(pos_, end - pos_));
    std::erase(digits, '_');
    push(kind, std::move(digits));
    advance_to(end);
  }

  void lex_string(char mark) {
    size_t end = pos_ + 1;
    while (end < text_.size() && text_[end] != mark) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) fail("a string is not closed, expected {}", mark);
    push(TokenKind::kString, unescape(text_.substr(pos_ + 1, end - pos_ - 1)));
    advance_to(end + 1);
  }

  std::string unescape(std::string_view raw) const {
    std::string out;
    for (size_t i = 0; i < raw.size();) {
      const size_t backslash = std::min(raw.find('\\', i), raw.size());
      out += raw.substr(i, backslash - i);
      i = backslash;
      if (i < raw.size()) i = unescape_one(raw, i + 1, out);
    }
    return out;
  }

  /// One escape sequence; `i` stands behind its backslash. Returns the place after it.
  size_t unescape_one(std::string_view raw, size_t i, std::string& out) const {
    if (i >= raw.size()) fail("a string ends in a backslash");
    const char c = raw[i];
    static constexpr std::string_view kNames = "abfnrtv\\'\"", kCodes = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t known = kNames.find(c); known != kNone) {
      out.push_back(kCodes[known]);
      return i + 1;
    }
    if (c == '\n') return i + 1;
    if (c == 'x' || c == 'u' || c == 'U') return unescape_hex(raw, i, out);
    if (c == 'N') return unescape_name(raw, i, out);
    if (c >= '0' && c <= '7') {
      uint32_t code = 0;
      const size_t limit = std::min(i + 3, raw.size());
      while (i < limit && raw[i] >= '0' && raw[i] <= '7') code = code * 8 + static_cast<uint32_t>(raw[i++] - '0');
      append_utf8(out, code);
      return i;
    }
    // Python keeps an unknown escape as it stands; Jinja spells a character outside ASCII in its own escape first.
    out.push_back('\\');
    const size_t start = i;
    const auto code = static_cast<uint32_t>(next_code_point(raw, i));
    if (code < 0x80) {
      out += raw.substr(start, i - start);
    } else {
      out += code < 0x100 ? fmt::format("x{:02x}", code) : code < 0x10000 ? fmt::format("u{:04x}", code) : fmt::format("U{:08x}", code);
    }
    return i;
  }

  size_t unescape_hex(std::string_view raw, size_t i, std::string& out) const {
    const size_t count = raw[i] == 'x' ? 2 : raw[i] == 'u' ? 4 : 8;
    const std::string digits(raw.substr(i + 1, count));
    if (digits.size() != count || digits.find_first_not_of("0123456789abcdefABCDEF") != kNone) {
      fail("the escape '\\{}{}' is cut short, expected {} hexadecimal digits", raw[i], digits, count);
    }
    const unsigned long code = std::stoul(digits, nullptr, 16);
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) fail("the escape '\\{}{}' is no character", raw[i], digits);
    append_utf8(out, static_cast<char32_t>(code));
    return i + 1 + count;
  }

  size_t unescape_name(std::string_view raw, size_t i, std::string& out) const {
    const size_t close = at_close(raw, i);
    const std::string name(raw.substr(i + 2, close - i - 2));
    UErrorCode error = U_ZERO_ERROR;
    const UChar32 code = u_charFromName(U_EXTENDED_CHAR_NAME, name.c_str(), &error);
    if (U_FAILURE(error)) fail("the escape '\\N{{{}}}' names no character", name);
    append_utf8(out, static_cast<char32_t>(code));
    return close + 1;
  }

  size_t at_close(std::string_view raw, size_t i) const {
    const size_t close = i + 1 < raw.size() && raw[i + 1] == '{' ? raw.find('}', i) : kNone;
    if (close == kNone) fail("the escape '\\N' is malformed, expected '\\N{{NAME}}'");
    return close;
  }

  std::string source_;
  std::string_view text_;
  size_t pos_ = 0;
  int line_ = 1;
  bool line_starts_ = true;
  std::vector<char> brackets_;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace citius::jinja
