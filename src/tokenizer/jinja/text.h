// Python's view of text, over UTF-8: code points, its definition of white space and lines, case mapping and the
// character classes behind str.isalpha() and friends. Everything here takes valid UTF-8 and throws nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace citius::jinja {

size_t count_code_points(std::string_view text);
/// Byte position of the first ill-formed sequence, or npos.
size_t find_invalid_utf8(std::string_view text);
/// Each ill-formed part becomes U+FFFD.
std::string replace_invalid_utf8(std::string_view text);
/// The code point at `pos`, which moves behind it.
char32_t next_code_point(std::string_view text, size_t& pos);
void append_utf8(std::string& out, char32_t code);
/// Byte offset of code point number `index` (at most their count).
size_t byte_offset(std::string_view text, size_t index);
std::u32string to_code_points(std::string_view text);

bool is_space(char32_t code);
/// Removes white space, or the code points of `chars`, from the chosen ends.
std::string_view strip(std::string_view text, std::optional<std::string_view> chars, bool left, bool right);
/// str.splitlines().
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string case_fold(std::string_view text);
std::string capitalize(std::string_view text);
std::string title_case(std::string_view text);  // str.title()
std::string swap_case(std::string_view text);

enum class CharClass { kAlpha, kDigit, kDecimal, kNumeric, kAlnum, kSpace, kPrintable, kAscii };
/// str.isalpha(), ...: not empty (but for isprintable and isascii) and all code points of the class.
bool all_of_class(std::string_view text, CharClass char_class);
bool is_lower(std::string_view text);
bool is_upper(std::string_view text);
bool is_title(std::string_view text);
bool is_identifier(std::string_view text);
bool is_identifier_part(char32_t code);
/// A letter, digit or underscore: \w of a regular expression.
bool is_word(char32_t code);

/// repr() of a str, quotes included.
std::string quote(std::string_view text);
/// &, <, >, ' and " as HTML entities.
std::string escape_html(std::string_view text);

}  // namespace citius::jinja
