#include "tokenizer/jinja/parser.h"

#include <algorithm>

namespace citius::jinja {
namespace {

// A level of parentheses counts about four times, a block once.
constexpr int kMaxNesting = 300;

StrPtr make_name(const std::string& text) {
  auto str = std::make_shared<Str>();
  str->text = text;
  str->length = text.size();
  return str;
}

}  // namespace

int Symbols::intern(const std::string& name) {
  const auto [it, added] = ids_.emplace(name, static_cast<int>(names_.size()));
  if (added) names_.push_back(make_name(name));
  return it->second;
}

int Symbols::find(const std::string& name) const {
  const auto it = ids_.find(name);
  return it == ids_.end() ? -1 : it->second;
}

Parser::Nesting::Nesting(Parser& parser) : parser_(parser) {
  if (++parser_.nesting_ > kMaxNesting) parser_.fail("the template is nested deeper than {} levels", kMaxNesting);
}

bool Parser::skip_operator(std::string_view text) {
  if (!is_operator(text)) return false;
  next();
  return true;
}

bool Parser::skip_name(std::string_view text) {
  if (!is_name(text)) return false;
  next();
  return true;
}

void Parser::expect_operator(std::string_view text) {
  if (!skip_operator(text)) fail("got {}, expected '{}'", describe(), text);
}

void Parser::expect_name(std::string_view text) {
  if (!skip_name(text)) fail("got {}, expected '{}'", describe(), text);
}

std::string Parser::expect_identifier() {
  if (!is(TokenKind::kName)) fail("got {}, expected a name", describe());
  return next().text;
}

std::string Parser::describe() const {
  switch (current().kind) {
    case TokenKind::kData: return "text";
    case TokenKind::kVariableBegin: return "'{{'";
    case TokenKind::kVariableEnd: return "'}}'";
    case TokenKind::kBlockBegin: return "'{%'";
    case TokenKind::kBlockEnd: return "'%}'";
    case TokenKind::kString: return "a string";
    case TokenKind::kInteger:
    case TokenKind::kFloat: return "a number";
    case TokenKind::kEnd: return "the end of the template";
    default: return "'" + current().text + "'";
  }
}

std::unique_ptr<Stmt> Parser::make_statement(StmtKind kind) const {
  auto statement = std::make_unique<Stmt>();
  statement->kind = kind;
  statement->line = current().line;
  return statement;
}

Body Parser::parse_all() { return parse_until({}); }

/// Statements up to a block whose name is one of `ends`; that name is the current token then.
Body Parser::parse_until(const std::vector<std::string_view>& ends) {
  const Nesting nesting(*this);
  Body body;
  while (!is(TokenKind::kEnd)) {
    if (is(TokenKind::kData)) {
      auto statement = make_statement(StmtKind::kData);
      statement->text = next().text;
      body.push_back(std::move(statement));
    } else if (is(TokenKind::kVariableBegin)) {
      auto statement = make_statement(StmtKind::kPrint);
      next();
      statement->exprs.push_back(parse_tuple({}));
      if (!is(TokenKind::kVariableEnd)) fail("got {}, expected '}}}}'", describe());
      next();
      body.push_back(std::move(statement));
    } else {
      next();  // only the begin of a block can stand here
      const bool ended = is(TokenKind::kName) && std::find(ends.begin(), ends.end(), current().text) != ends.end();
      if (ended) return body;
      body.push_back(parse_statement());
      if (!is(TokenKind::kBlockEnd)) fail("got {}, expected '%}}'", describe());
      next();
    }
  }
  if (!ends.empty()) fail("the template ends where '{}' was expected", ends.back());
  return body;
}

/// The body of a block: the rest of its tag's end, the statements, and the name that ends it where `drop_end`.
Body Parser::parse_body(const std::vector<std::string_view>& ends, bool drop_end) {
  skip_operator(":");
  if (!is(TokenKind::kBlockEnd)) fail("got {}, expected '%}}'", describe());
  next();
  Body body = parse_until(ends);
  if (drop_end) next();
  return body;
}

std::unique_ptr<Stmt> Parser::parse_statement() {
  if (!is(TokenKind::kName)) fail("got {}, expected the name of a tag", describe());
  const std::string tag = current().text;
  if (tag == "for") return parse_for();
  if (tag == "if") return parse_if();
  if (tag == "set") return parse_set();
  if (tag == "macro") return parse_macro();
  if (tag == "call") return parse_call_block();
  if (tag == "filter") return parse_filter_block();
  if (tag == "with") return parse_with();
  if (tag == "block") return parse_block();
  if (tag == "print") return parse_print();
  if (tag == "autoescape") return parse_autoescape();
  if (tag == "break" || tag == "continue") {
    auto statement = make_statement(tag == "break" ? StmtKind::kBreak : StmtKind::kContinue);
    next();
    return statement;
  }
  if (tag == "generation") {
    auto statement = make_statement(StmtKind::kScope);
    next();
    statement->body = parse_body({"endgeneration"}, /*drop_end=*/true);
    return statement;
  }
  if (tag == "include" || tag == "import" || tag == "from" || tag == "extends") return parse_refused(tag);
  fail("unknown tag '{}'", tag);
}

std::unique_ptr<Stmt> Parser::parse_for() {
  auto statement = make_statement(StmtKind::kFor);
  next();
  statement->exprs.push_back(parse_target(/*with_namespace=*/false, "in"));
  expect_name("in");
  statement->exprs.push_back(parse_tuple({.with_condition = false, .end_name = "recursive"}));
  statement->exprs.push_back(skip_name("if") ? parse_expression() : nullptr);
  statement->flag = skip_name("recursive");
  statement->body = parse_body({"else", "endfor"}, /*drop_end=*/false);
  if (next().text == "else") statement->other = parse_body({"endfor"}, /*drop_end=*/true);
  return statement;
}

std::unique_ptr<Stmt> Parser::parse_if() {
  auto statement = make_statement(StmtKind::kIf);
  next();
  while (true) {
    statement->exprs.push_back(parse_tuple({.with_condition = false}));
    statement->bodies.push_back(parse_body({"elif", "else", "endif"}, /*drop_end=*/false));
    const std::string end = next().text;
    if (end == "elif") continue;
    if (end == "else") statement->bodies.push_back(parse_body({"endif"}, /*drop_end=*/true));
    return statement;
  }
}

std::unique_ptr<Stmt> Parser::parse_set() {
  auto statement = make_statement(StmtKind::kSet);
  next();
  statement->exprs.push_back(parse_target(/*with_namespace=*/true));
  if (skip_operator("=")) {
    statement->exprs.push_back(parse_tuple({}));
    return statement;
  }
  statement->kind = StmtKind::kSetBlock;
  statement->exprs.push_back(parse_filter(nullptr, /*started=*/false));
  statement->body = parse_body({"endset"}, /*drop_end=*/true);
  return statement;
}

std::unique_ptr<Stmt> Parser::parse_with() {
  auto statement = make_statement(StmtKind::kWith);
  next();
  while (!is(TokenKind::kBlockEnd)) {
    if (!statement->exprs.empty()) expect_operator(",");
    statement->exprs.push_back(parse_target(/*with_namespace=*/false));
    expect_operator("=");
    statement->exprs.push_back(parse_expression());
  }
  statement->body = parse_body({"endwith"}, /*drop_end=*/true);
  return statement;
}

void Parser::parse_signature(MacroDef& macro) {
  expect_operator("(");
  while (!is_operator(")")) {
    if (!macro.parameters.empty()) expect_operator(",");
    const std::string name = expect_identifier();
    if (std::find(macro.parameters.begin(), macro.parameters.end(), name) != macro.parameters.end()) {
      fail("the parameter '{}' is there twice", name);
    }
    macro.parameters.push_back(name);
    macro.symbols.push_back(symbols_.intern(name));
    if (skip_operator("=")) {
      macro.defaults.push_back(parse_expression());
    } else {
      if (!macro.defaults.empty() && macro.defaults.back()) {
        fail("the parameter '{}' without a default follows one with a default", name);
      }
      macro.defaults.push_back(nullptr);
    }
  }
  expect_operator(")");
}

std::unique_ptr<Stmt> Parser::parse_macro() {
  auto statement = make_statement(StmtKind::kMacro);
  next();
  statement->macro = std::make_unique<MacroDef>();
  statement->macro->name = expect_identifier();
  statement->symbol = symbols_.intern(statement->macro->name);
  parse_signature(*statement->macro);
  statement->macro->body = parse_body({"endmacro"}, /*drop_end=*/true);
  return statement;
}

std::unique_ptr<Stmt> Parser::parse_call_block() {
  auto statement = make_statement(StmtKind::kCallBlock);
  next();
  statement->macro = std::make_unique<MacroDef>();
  if (is_operator("(")) parse_signature(*statement->macro);
  statement->exprs.push_back(parse_expression());
  if (statement->exprs[0]->kind != ExprKind::kCall) fail("a call block expects a call");
  statement->macro->body = parse_body({"endcall"}, /*drop_end=*/true);
  return statement;
}

std::unique_ptr<Stmt> Parser::parse_filter_block() {
  auto statement = make_statement(StmtKind::kFilterBlock);
  next();
  statement->exprs.push_back(parse_filter(nullptr, /*started=*/true));
  statement->body = parse_body({"endfilter"}, /*drop_end=*/true);
  return statement;
}

std::unique_ptr<Stmt> Parser::parse_block() {
  auto statement = make_statement(StmtKind::kBlock);
  next();
  statement->text = expect_identifier();
  statement->flag = skip_name("scoped");
  if (is_name("required")) fail("a block that another template must fill cannot be rendered alone");
  statement->body = parse_body({"endblock"}, /*drop_end=*/true);
  skip_name(statement->text);
  return statement;
}

std::unique_ptr<Stmt> Parser::parse_print() {
  auto statement = make_statement(StmtKind::kPrint);
  next();
  while (!is(TokenKind::kBlockEnd)) {
    if (!statement->exprs.empty()) expect_operator(",");
    statement->exprs.push_back(parse_expression());
  }
  return statement;
}

std::unique_ptr<Stmt> Parser::parse_autoescape() {
  auto statement = make_statement(StmtKind::kScope);
  next();
  const ExprPtr option = parse_expression();
  const bool* flag = std::get_if<bool>(&option->value);
  if (option->kind != ExprKind::kConst || flag == nullptr || *flag) {
    fail("automatic escaping is not supported; chat templates are rendered without it");
  }
  statement->body = parse_body({"endautoescape"}, /*drop_end=*/true);
  return statement;
}

/// Tags that need other templates. They fail when they are reached, as they do where there is no loader.
std::unique_ptr<Stmt> Parser::parse_refused(const std::string& tag) {
  auto statement = make_statement(StmtKind::kRefuse);
  statement->text = "'" + tag + "' needs another template, and a chat template stands alone";
  while (!is(TokenKind::kBlockEnd) && !is(TokenKind::kEnd)) next();
  return statement;
}

}  // namespace citius::jinja
