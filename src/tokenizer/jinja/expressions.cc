// The part of the parser that reads expressions.
#include <algorithm>
#include <charconv>

#include "tokenizer/jinja/number.h"
#include "tokenizer/jinja/parser.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

// Chains such as a + b + c are trees as high as they are long; the interpreter walks them recursively.
constexpr int kMaxHeight = 400;

StrPtr make_text(std::string text) {
  auto str = std::make_shared<Str>();
  str->length = count_code_points(text);
  str->text = std::move(text);
  return str;
}

}  // namespace

ExprPtr Parser::make(ExprKind kind, int line) const {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->line = line;
  return expr;
}

ExprPtr Parser::make(ExprKind kind, int line, ExprPtr a, ExprPtr b) const {
  ExprPtr expr = make(kind, line);
  expr->children.push_back(std::move(a));
  if (b) expr->children.push_back(std::move(b));
  return sealed(std::move(expr));
}

/// Checks the height of a finished node.
ExprPtr Parser::sealed(ExprPtr expr) const {
  const auto raise = [&](const ExprPtr& child) {
    if (child) expr->depth = std::max(expr->depth, child->depth + 1);
  };
  for (const ExprPtr& child : expr->children) raise(child);
  if (expr->args) {
    for (const ExprPtr& child : expr->args->positional) raise(child);
    for (const auto& [name, child] : expr->args->keyword) raise(child);
    raise(expr->args->star);
    raise(expr->args->star_star);
  }
  if (expr->depth > kMaxHeight) fail("an expression has more than {} levels", kMaxHeight);
  return expr;
}

ExprPtr Parser::constant(Value value, int line) const {
  ExprPtr expr = make(ExprKind::kConst, line);
  expr->value = std::move(value);
  return expr;
}

ExprPtr Parser::parse_expression(bool with_condition) {
  const Nesting nesting(*this);
  return with_condition ? parse_condition() : parse_or();
}

ExprPtr Parser::parse_condition() {
  const Nesting nesting(*this);
  int line = current().line;
  ExprPtr expr = parse_or();
  while (skip_name("if")) {
    ExprPtr condition = make(ExprKind::kCondition, line);
    condition->children.push_back(parse_or());
    condition->children.push_back(std::move(expr));
    condition->children.push_back(skip_name("else") ? parse_condition() : nullptr);
    expr = sealed(std::move(condition));
    line = current().line;
  }
  return expr;
}

ExprPtr Parser::parse_or() {
  ExprPtr left = parse_and();
  while (is_name("or")) {
    const int line = next().line;
    left = make(ExprKind::kOr, line, std::move(left), parse_and());
  }
  return left;
}

ExprPtr Parser::parse_and() {
  ExprPtr left = parse_not();
  while (is_name("and")) {
    const int line = next().line;
    left = make(ExprKind::kAnd, line, std::move(left), parse_not());
  }
  return left;
}

ExprPtr Parser::parse_not() {
  if (!is_name("not")) return parse_compare();
  const Nesting nesting(*this);
  const int line = next().line;
  return make(ExprKind::kNot, line, parse_not());
}

bool Parser::parse_compare_operator(Compare& op) {
  static constexpr std::string_view kSymbols[] = {"==", "!=", "<", "<=", ">", ">="};
  if (is(TokenKind::kOperator)) {
    const auto* found = std::find(std::begin(kSymbols), std::end(kSymbols), current().text);
    if (found == std::end(kSymbols)) return false;
    op = static_cast<Compare>(found - kSymbols);
    next();
    return true;
  }
  op = Compare::kIn;
  if (skip_name("in")) return true;
  if (!is_name("not") || look().kind != TokenKind::kName || look().text != "in") return false;
  op = Compare::kNotIn;
  next();
  next();
  return true;
}

ExprPtr Parser::parse_compare() {
  const int line = current().line;
  ExprPtr first = parse_sum();
  Compare op = Compare::kEqual;
  if (!parse_compare_operator(op)) return first;
  ExprPtr expr = make(ExprKind::kCompare, line);
  expr->children.push_back(std::move(first));
  do {
    expr->compare.push_back(op);
    expr->children.push_back(parse_sum());
  } while (parse_compare_operator(op));
  return sealed(std::move(expr));
}

ExprPtr Parser::parse_sum() {
  ExprPtr left = parse_concat();
  while (is_operator("+") || is_operator("-")) {
    const Token op = next();
    left = make(ExprKind::kArithmetic, op.line, std::move(left), parse_concat());
    left->arithmetic = op.text == "+" ? Arithmetic::kAdd : Arithmetic::kSubtract;
  }
  return left;
}

ExprPtr Parser::parse_concat() {
  const int line = current().line;
  ExprPtr first = parse_product();
  if (!is_operator("~")) return first;
  ExprPtr expr = make(ExprKind::kConcat, line);
  expr->children.push_back(std::move(first));
  while (skip_operator("~")) expr->children.push_back(parse_product());
  return sealed(std::move(expr));
}

ExprPtr Parser::parse_product() {
  static constexpr std::pair<std::string_view, Arithmetic> kOperators[] = {
      {"*", Arithmetic::kMultiply}, {"/", Arithmetic::kDivide}, {"//", Arithmetic::kFloorDivide}, {"%", Arithmetic::kModulo}};
  ExprPtr left = parse_power();
  while (is(TokenKind::kOperator)) {
    const auto* found =
        std::find_if(std::begin(kOperators), std::end(kOperators), [&](const auto& entry) { return entry.first == current().text; });
    if (found == std::end(kOperators)) break;
    const int line = next().line;
    left = make(ExprKind::kArithmetic, line, std::move(left), parse_power());
    left->arithmetic = found->second;
  }
  return left;
}

ExprPtr Parser::parse_power() {
  ExprPtr left = parse_unary();
  while (is_operator("**")) {
    const int line = next().line;
    left = make(ExprKind::kArithmetic, line, std::move(left), parse_unary());
    left->arithmetic = Arithmetic::kPower;
  }
  return left;
}

ExprPtr Parser::parse_unary(bool with_filter) {
  const Nesting nesting(*this);
  ExprPtr expr;
  if (is_operator("-") || is_operator("+")) {
    const Token op = next();
    expr = make(op.text == "-" ? ExprKind::kNegate : ExprKind::kPlus, op.line, parse_unary(/*with_filter=*/false));
  } else {
    expr = parse_primary();
  }
  expr = parse_postfix(std::move(expr));
  return with_filter ? parse_filters_and_tests(std::move(expr)) : std::move(expr);
}

ExprPtr Parser::parse_primary(bool with_namespace) {
  const int line = current().line;
  switch (current().kind) {
    case TokenKind::kName: return parse_name(with_namespace);
    case TokenKind::kInteger:
    case TokenKind::kFloat: return parse_number();
    case TokenKind::kString: {
      std::string text;
      while (is(TokenKind::kString)) text += next().text;
      return constant(make_text(std::move(text)), line);
    }
    default: break;
  }
  if (is_operator("[")) return parse_list();
  if (is_operator("{")) return parse_dict();
  if (!skip_operator("(")) fail("unexpected {}", describe());
  ExprPtr expr = parse_tuple({.parentheses = true});
  expect_operator(")");
  return expr;
}

ExprPtr Parser::parse_name(bool with_namespace) {
  const Token token = next();
  if (token.text == "true" || token.text == "True") return constant(true, token.line);
  if (token.text == "false" || token.text == "False") return constant(false, token.line);
  if (token.text == "none" || token.text == "None") return constant(None{}, token.line);
  ExprPtr expr = make(ExprKind::kName, token.line);
  expr->symbol = symbols_.intern(token.text);
  expr->name = symbols_.name(expr->symbol);
  if (with_namespace && skip_operator(".")) {
    expr->kind = ExprKind::kNamespaceRef;
    expr->name = make_text(expect_identifier());
    if (expr->name->text.starts_with('_')) fail("a namespace takes no attribute that begins with '_'");
  }
  return expr;
}

ExprPtr Parser::parse_number() {
  const Token token = next();
  if (token.kind == TokenKind::kFloat) return constant(*parse_float(token.text), token.line);
  bool overflow = false;
  const auto number = parse_int(token.text, 0, overflow);
  if (!number || overflow) fail("the number {} does not fit into 64 bits", token.text);
  return constant(*number, token.line);
}

ExprPtr Parser::parse_postfix(ExprPtr expr) {
  while (true) {
    if (is_operator(".") || is_operator("[")) {
      expr = parse_subscript(std::move(expr));
    } else if (is_operator("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr Parser::parse_filters_and_tests(ExprPtr expr) {
  while (true) {
    if (is_operator("|")) {
      expr = parse_filter(std::move(expr), /*started=*/false);
    } else if (is_name("is")) {
      expr = parse_test(std::move(expr));
    } else if (is_operator("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

std::string Parser::parse_dotted_name() {
  std::string name = expect_identifier();
  while (skip_operator(".")) name += "." + expect_identifier();
  return name;
}

/// A chain of filters on `input`, null where the block around it is the input. `started`: the first comes without "|".
ExprPtr Parser::parse_filter(ExprPtr input, bool started) {
  while (started || is_operator("|")) {
    if (!started) next();
    started = false;
    ExprPtr expr = make(ExprKind::kFilter, current().line);
    std::string name = parse_dotted_name();
    expr->filter = find_filter(name);
    expr->name = make_text(std::move(name));
    expr->children.push_back(std::move(input));
    expr->args = is_operator("(") ? parse_arguments() : std::make_unique<CallArgs>();
    input = sealed(std::move(expr));
  }
  return input;
}

ExprPtr Parser::parse_test(ExprPtr input) {
  const int line = next().line;
  const bool negated = skip_name("not");
  ExprPtr expr = make(ExprKind::kTest, line);
  std::string name = parse_dotted_name();
  expr->test = find_test(name);
  expr->name = make_text(std::move(name));
  expr->children.push_back(std::move(input));
  expr->args = std::make_unique<CallArgs>();
  const bool literal = is(TokenKind::kString) || is(TokenKind::kInteger) || is(TokenKind::kFloat) || is_operator("[") || is_operator("{");
  const bool word = is(TokenKind::kName) && !is_name("else") && !is_name("or") && !is_name("and");
  if (is_operator("(")) {
    expr->args = parse_arguments();
  } else if (literal || word) {
    if (is_name("is")) fail("tests cannot be chained with 'is'");
    expr->args->positional.push_back(parse_postfix(parse_primary()));
  }
  expr = sealed(std::move(expr));
  return negated ? make(ExprKind::kNot, line, std::move(expr)) : std::move(expr);
}

ExprPtr Parser::parse_subscript(ExprPtr expr) {
  const Token token = next();
  if (token.text == ".") {
    if (is(TokenKind::kInteger)) return make(ExprKind::kItem, token.line, std::move(expr), parse_number());
    ExprPtr attribute = make(ExprKind::kAttribute, token.line, std::move(expr));
    attribute->name = make_text(expect_identifier());
    return attribute;
  }
  if (is_operator("]")) {
    expr = make(ExprKind::kItem, next().line, std::move(expr), make(ExprKind::kTuple, token.line));
    return expr;
  }
  expr = parse_subscribed(std::move(expr));
  if (expr->kind == ExprKind::kItem && is_operator(",")) {
    ExprPtr tuple = make(ExprKind::kTuple, token.line);
    tuple->children.push_back(std::move(expr->children[1]));
    while (skip_operator(",") && !is_operator("]")) tuple->children.push_back(parse_expression());
    expr->children[1] = sealed(std::move(tuple));
    expr = sealed(std::move(expr));
  }
  expect_operator("]");
  return expr;
}

/// object[index] or object[start:stop:step], up to the closing bracket or a comma.
ExprPtr Parser::parse_subscribed(ExprPtr object) {
  const int line = current().line;
  ExprPtr parts[3];
  if (!is_operator(":")) parts[0] = parse_expression();
  if (!is_operator(":")) return make(ExprKind::kItem, line, std::move(object), std::move(parts[0]));
  for (int i = 1; i < 3 && skip_operator(":"); ++i) {
    if (!is_operator(":") && !is_operator("]") && !is_operator(",")) parts[i] = parse_expression();
  }
  ExprPtr slice = make(ExprKind::kSlice, line);
  slice->children.push_back(std::move(object));
  for (ExprPtr& part : parts) slice->children.push_back(std::move(part));
  return sealed(std::move(slice));
}

std::unique_ptr<CallArgs> Parser::parse_arguments() {
  auto args = std::make_unique<CallArgs>();
  expect_operator("(");
  for (bool first = true; !is_operator(")"); first = false) {
    if (!first) {
      expect_operator(",");
      if (is_operator(")")) break;
    }
    const bool closed = args->star_star != nullptr;
    if (skip_operator("*")) {
      if (closed || args->star) fail("an argument stands where it may not");
      args->star = parse_expression();
    } else if (skip_operator("**")) {
      if (closed) fail("an argument stands where it may not");
      args->star_star = parse_expression();
    } else if (is(TokenKind::kName) && look().kind == TokenKind::kOperator && look().text == "=") {
      if (closed) fail("an argument stands where it may not");
      const std::string name = next().text;
      next();
      for (const auto& [known, value] : args->keyword) {
        if (known == name) fail("the argument '{}' is there twice", name);
      }
      args->keyword.emplace_back(name, parse_expression());
    } else {
      if (closed || args->star || !args->keyword.empty()) fail("an argument stands where it may not");
      args->positional.push_back(parse_expression());
    }
  }
  expect_operator(")");
  return args;
}

ExprPtr Parser::parse_call(ExprPtr callee) {
  ExprPtr expr = make(ExprKind::kCall, current().line);
  expr->children.push_back(std::move(callee));
  expr->args = parse_arguments();
  return sealed(std::move(expr));
}

ExprPtr Parser::parse_list() {
  ExprPtr expr = make(ExprKind::kList, next().line);
  while (!is_operator("]")) {
    if (!expr->children.empty()) expect_operator(",");
    if (is_operator("]")) break;
    expr->children.push_back(parse_expression());
  }
  expect_operator("]");
  return sealed(std::move(expr));
}

ExprPtr Parser::parse_dict() {
  ExprPtr expr = make(ExprKind::kDict, next().line);
  while (!is_operator("}")) {
    if (!expr->children.empty()) expect_operator(",");
    if (is_operator("}")) break;
    expr->children.push_back(parse_expression());
    expect_operator(":");
    expr->children.push_back(parse_expression());
  }
  expect_operator("}");
  return sealed(std::move(expr));
}

bool Parser::at_tuple_end(std::string_view end_name) const {
  return is(TokenKind::kVariableEnd) || is(TokenKind::kBlockEnd) || is_operator(")") || (!end_name.empty() && is_name(end_name));
}

ExprPtr Parser::parse_tuple(const TupleOptions& options) {
  const Nesting nesting(*this);
  const int line = current().line;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty()) expect_operator(",");
    if (at_tuple_end(options.end_name)) break;
    items.push_back(options.simple ? parse_primary(options.with_namespace) : parse_expression(options.with_condition));
    if (!is_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return std::move(items[0]);
  if (!is_tuple && !options.parentheses) fail("got {}, expected an expression", describe());
  ExprPtr expr = make(ExprKind::kTuple, line);
  expr->children = std::move(items);
  return sealed(std::move(expr));
}

ExprPtr Parser::parse_target(bool with_namespace, std::string_view end_name) {
  ExprPtr target = parse_tuple({.simple = true, .with_namespace = with_namespace, .end_name = end_name});
  check_target(*target);
  return target;
}

void Parser::check_target(const Expr& target) const {
  if (target.kind == ExprKind::kTuple) {
    for (const ExprPtr& child : target.children) check_target(*child);
  } else if (target.kind != ExprKind::kName && target.kind != ExprKind::kNamespaceRef) {
    fail("only names can be assigned to");
  }
}

}  // namespace citius::jinja
