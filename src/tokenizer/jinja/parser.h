// Recursive descent over the tokens of a template, after Jinja's own grammar. expressions.cc has the part for
// expressions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/lexer.h"

namespace citius::jinja {

class Parser {
 public:
  Parser(std::vector<Token> tokens, Symbols& symbols) : tokens_(std::move(tokens)), symbols_(symbols) {}
  Body parse_all();

 private:
  /// Counts how deep the parser is; see kMaxNesting.
  class Nesting {
   public:
    explicit Nesting(Parser& parser);
    ~Nesting() { --parser_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    Parser& parser_;
  };

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    fail_input(fmt::format("chat template, line {}", current().line), "{}", fmt::format(format, std::forward<Args>(args)...));
  }

  // Tokens.
  const Token& current() const { return tokens_[pos_]; }
  const Token& look() const { return tokens_[std::min(pos_ + 1, tokens_.size() - 1)]; }
  Token next() { return tokens_[pos_ + 1 < tokens_.size() ? pos_++ : pos_]; }
  bool is(TokenKind kind) const { return current().kind == kind; }
  bool is_operator(std::string_view text) const { return is(TokenKind::kOperator) && current().text == text; }
  bool is_name(std::string_view text) const { return is(TokenKind::kName) && current().text == text; }
  bool skip_operator(std::string_view text);
  bool skip_name(std::string_view text);
  void expect_operator(std::string_view text);
  void expect_name(std::string_view text);
  std::string expect_identifier();
  std::string describe() const;

  // Statements.
  Body parse_until(const std::vector<std::string_view>& ends);
  Body parse_body(const std::vector<std::string_view>& ends, bool drop_end);
  std::unique_ptr<Stmt> parse_statement();
  std::unique_ptr<Stmt> make_statement(StmtKind kind) const;
  std::unique_ptr<Stmt> parse_for();
  std::unique_ptr<Stmt> parse_if();
  std::unique_ptr<Stmt> parse_set();
  std::unique_ptr<Stmt> parse_with();
  std::unique_ptr<Stmt> parse_macro();
  std::unique_ptr<Stmt> parse_call_block();
  std::unique_ptr<Stmt> parse_filter_block();
  std::unique_ptr<Stmt> parse_block();
  std::unique_ptr<Stmt> parse_print();
  std::unique_ptr<Stmt> parse_autoescape();
  std::unique_ptr<Stmt> parse_refused(const std::string& tag);
  void parse_signature(MacroDef& macro);

  // Expressions.
  ExprPtr make(ExprKind kind, int line) const;
  ExprPtr make(ExprKind kind, int line, ExprPtr a, ExprPtr b = nullptr) const;
  ExprPtr sealed(ExprPtr expr) const;
  ExprPtr constant(Value value, int line) const;
  ExprPtr parse_expression(bool with_condition = true);
  ExprPtr parse_condition();
  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_compare();
  bool parse_compare_operator(Compare& op);
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filter = true);
  ExprPtr parse_primary(bool with_namespace = false);
  ExprPtr parse_name(bool with_namespace);
  ExprPtr parse_number();
  ExprPtr parse_postfix(ExprPtr expr);
  ExprPtr parse_filters_and_tests(ExprPtr expr);
  ExprPtr parse_filter(ExprPtr input, bool started);
  ExprPtr parse_test(ExprPtr input);
  ExprPtr parse_subscript(ExprPtr expr);
  ExprPtr parse_subscribed(ExprPtr object);
  ExprPtr parse_call(ExprPtr callee);
  std::unique_ptr<CallArgs> parse_arguments();
  std::string parse_dotted_name();
  ExprPtr parse_list();
  ExprPtr parse_dict();
  /// One expression, or a tuple where commas follow. `simple`: names and literals only, as targets are.
  struct TupleOptions {
    bool simple = false;
    bool with_condition = true;
    bool parentheses = false;
    bool with_namespace = false;
    std::string_view end_name;
  };
  ExprPtr parse_tuple(const TupleOptions& options);
  bool at_tuple_end(std::string_view end_name) const;
  ExprPtr parse_target(bool with_namespace, std::string_view end_name = {});
  void check_target(const Expr& target) const;

  std::vector<Token> tokens_;
  Symbols& symbols_;
  size_t pos_ = 0;
  int nesting_ = 0;
};

}  // namespace citius::jinja
