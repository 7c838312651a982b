// What Jinja finds out when it compiles a template and we find out after parsing: filters and tests that do not exist,
// loop controls outside loops, blocks defined twice, and which implicit arguments a macro reads.
#include <set>

#include "base/error.h"
#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/parser.h"

namespace citius::jinja {
namespace {

/// Calls `visit` on every expression directly below `expr`.
template <typename Visit>
void for_each_child(const Expr& expr, const Visit& visit) {
  const auto one = [&](const ExprPtr& child) {
    if (child) visit(*child);
  };
  for (const ExprPtr& child : expr.children) one(child);
  if (!expr.args) return;
  for (const ExprPtr& child : expr.args->positional) one(child);
  for (const auto& [name, child] : expr.args->keyword) one(child);
  one(expr.args->star);
  one(expr.args->star_star);
}

class Checker {
 public:
  explicit Checker(Template& compiled) : template_(compiled) {}

  void check(Body& body, bool soft, bool in_loop) {
    for (auto& statement : body) check(*statement, soft, in_loop);
  }

 private:
  template <typename... Args>
  [[noreturn]] static void fail(int line, fmt::format_string<Args...> format, Args&&... args) {
    fail_input(fmt::format("chat template, line {}", line), "{}", fmt::format(format, std::forward<Args>(args)...));
  }

  /// `soft`: inside an if, where an unknown filter is an error only once it is reached.
  void check(Stmt& statement, bool soft, bool in_loop) {
    switch (statement.kind) {
      case StmtKind::kFor: return check_for(statement, soft, in_loop);
      case StmtKind::kIf:
        for (const ExprPtr& condition : statement.exprs) check(*condition, /*soft=*/true);
        for (Body& body : statement.bodies) check(body, /*soft=*/true, in_loop);
        return;
      case StmtKind::kMacro:
      case StmtKind::kCallBlock:
        for (const ExprPtr& expr : statement.exprs) check(*expr, soft);
        return check_macro(*statement.macro);
      case StmtKind::kSet:
      case StmtKind::kSetBlock:
        if (num_loops_ > 0) check_loop_target(*statement.exprs[0]);
        for (const ExprPtr& expr : statement.exprs) {
          if (expr) check(*expr, soft);
        }
        return check(statement.body, /*soft=*/false, in_loop);
      case StmtKind::kBreak:
      case StmtKind::kContinue:
        if (!in_loop) fail(statement.line, "a loop control stands outside a loop");
        return;
      case StmtKind::kBlock:
        if (!blocks_.insert(statement.text).second) {
          fail(statement.line, "the block '{}' is defined twice", statement.text);
        }
        return check(statement.body, /*soft=*/false, /*in_loop=*/false);
      case StmtKind::kScope: return check(statement.body, /*soft=*/false, /*in_loop=*/false);
      default:
        for (const ExprPtr& expr : statement.exprs) {
          if (expr) check(*expr, soft);
        }
        check(statement.body, /*soft=*/false, in_loop);
    }
  }

  void check_for(Stmt& statement, bool soft, bool in_loop) {
    check_loop_target(*statement.exprs[0]);
    check(*statement.exprs[0], soft);
    check(*statement.exprs[1], soft);
    if (statement.exprs[2]) check(*statement.exprs[2], /*soft=*/false);
    ++num_loops_;
    check(statement.body, /*soft=*/false, /*in_loop=*/true);
    --num_loops_;
    check(statement.other, /*soft=*/false, in_loop && !statement.flag);
  }

  void check_loop_target(const Expr& target) {
    if (target.kind == ExprKind::kName && target.symbol == template_.loop) {
      fail(target.line, "the variable 'loop' belongs to the loop and cannot be assigned");
    }
    for (const ExprPtr& child : target.children) check_loop_target(*child);
  }

  void check_macro(MacroDef& macro) {
    const bool outer[] = {seen_caller_, seen_kwargs_, seen_varargs_};
    seen_caller_ = seen_kwargs_ = seen_varargs_ = false;
    check(macro.body, /*soft=*/false, /*in_loop=*/false);
    macro.uses_caller = seen_caller_;
    macro.uses_kwargs = seen_kwargs_;
    macro.uses_varargs = seen_varargs_;
    for (size_t i = 0; i < macro.parameters.size(); ++i) {
      const std::string& name = macro.parameters[i];
      if (name == "caller" && macro.uses_caller && !macro.defaults[i]) {
        fail(template_line_, "the parameter 'caller' of a macro needs a default");
      }
      if (name == "caller") macro.uses_caller = false;
      if (name == "kwargs") macro.uses_kwargs = false;
      if (name == "varargs") macro.uses_varargs = false;
    }
    for (const ExprPtr& value : macro.defaults) {
      if (value) check(*value, /*soft=*/false);
    }
    seen_caller_ = seen_caller_ || outer[0];
    seen_kwargs_ = seen_kwargs_ || outer[1];
    seen_varargs_ = seen_varargs_ || outer[2];
  }

  void check(const Expr& expr, bool soft) {
    template_line_ = expr.line;
    if (expr.kind == ExprKind::kName) {
      seen_caller_ = seen_caller_ || expr.symbol == template_.caller;
      seen_kwargs_ = seen_kwargs_ || expr.symbol == template_.kwargs;
      seen_varargs_ = seen_varargs_ || expr.symbol == template_.varargs;
    }
    if (!soft && expr.kind == ExprKind::kFilter && expr.filter == nullptr) {
      fail(expr.line, "there is no filter '{}'", expr.name->text);
    }
    if (!soft && expr.kind == ExprKind::kTest && expr.test == nullptr) {
      fail(expr.line, "there is no test '{}'", expr.name->text);
    }
    const bool child_soft = soft || expr.kind == ExprKind::kCondition;
    for_each_child(expr, [&](const Expr& child) { check(child, child_soft); });
  }

  Template& template_;
  int template_line_ = 1;
  int num_loops_ = 0;
  bool seen_caller_ = false, seen_kwargs_ = false, seen_varargs_ = false;
  std::set<std::string> blocks_;
};

}  // namespace

Template parse_template(std::string_view source) {
  Template compiled;
  compiled.loop = compiled.symbols.intern("loop");
  compiled.caller = compiled.symbols.intern("caller");
  compiled.kwargs = compiled.symbols.intern("kwargs");
  compiled.varargs = compiled.symbols.intern("varargs");
  compiled.body = Parser(tokenize(source), compiled.symbols).parse_all();
  Checker(compiled).check(compiled.body, /*soft=*/false, /*in_loop=*/false);
  return compiled;
}

}  // namespace citius::jinja
