// Splits the source of a template into tokens, with the white space control that chat templates are written for:
// trim_blocks and lstrip_blocks on, "-" and "+" markers, raw blocks and comments.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace citius::jinja {

enum class TokenKind { kData, kVariableBegin, kVariableEnd, kBlockBegin, kBlockEnd, kName, kString, kInteger, kFloat, kOperator, kEnd };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // data, name, contents of a string, digits, or the operator
  int line = 1;
};

/// Throws Error{kInput} for what is no template. The last token is kEnd.
std::vector<Token> tokenize(std::string_view source);

}  // namespace citius::jinja
