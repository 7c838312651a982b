// Renders a parsed template: walks its statements and expressions over a chain of scopes. One Interpreter renders once.
#pragma once

#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tokenizer/jinja/ast.h"
#include "tokenizer/jinja/runtime.h"

namespace citius::jinja {

/// Variables of a for iteration, macro call or block. What is set inside stays inside.
struct Scope {
  explicit Scope(std::shared_ptr<Scope> parent) : parent(std::move(parent)) {}
  std::vector<std::pair<int, Value>> variables;
  std::shared_ptr<Scope> parent;

  const Value* find(int symbol) const;
  void set(int symbol, Value value);
};
using ScopePtr = std::shared_ptr<Scope>;

// Levels of nested evaluation, macro calls included. A level takes well under 1 KiB of stack.
inline constexpr int kMaxDepth = 1500;

enum class Flow { kNext, kBreak, kContinue };

class Interpreter {
 public:
  using Clock = std::function<std::tm()>;

  Interpreter(const Template& compiled, Runtime& runtime, Clock clock);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  void set_variable(const std::string& name, Value value);
  std::string render();

  // For the objects that call back into the template.
  Value call_macro(const MacroDef& macro, const ScopePtr& closure, const Args& args);
  Value call_loop(const Stmt& loop, const ScopePtr& outer, const Value& iterable, int depth);

 private:
  class Depth;
  class Place;

  // Statements.
  Flow execute(const Body& body);
  Flow execute(const Stmt& statement);
  Flow execute_if(const Stmt& statement);
  Flow execute_for(const Stmt& statement);
  Flow run_loop(const Stmt& statement, const Value& iterable, int depth);
  Next filtered(const Stmt& statement, const Value& iterable);
  Flow execute_set_block(const Stmt& statement);
  void execute_call_block(const Stmt& statement);
  Flow execute_filter_block(const Stmt& statement);
  Flow execute_with(const Stmt& statement);
  void execute_block(const Stmt& statement);
  void assign(const Expr& target, Value value);
  void assign_attribute(const Expr& target, Value value);
  ScopePtr new_scope(ScopePtr parent);
  Value make_macro(const MacroDef& macro);
  void bind_parameters(const MacroDef& macro, const Args& args);
  void bind_extra(const MacroDef& macro, const Args& args, std::vector<bool>& used);

  // Expressions.
  Value evaluate(const Expr& expr);
  Value evaluate_operator(const Expr& expr);
  Value evaluate_access(const Expr& expr);
  Value evaluate_collection(const Expr& expr);
  Value evaluate_compare(const Expr& expr);
  bool compare(Compare op, const Value& a, const Value& b);
  Value evaluate_filter(const Expr& expr);
  Value evaluate_call(const Expr& expr);
  Args evaluate_arguments(const CallArgs& args);
  Value optional(const ExprPtr& expr) { return expr ? evaluate(*expr) : Value(None{}); }
  Value lookup(const Expr& name) const;

  void add_globals(Clock clock);
  void add_function(const std::string& name, std::function<Value(Runtime&, const Args&)> function);

  const Template& template_;
  Runtime& runtime_;
  ScopePtr root_;
  ScopePtr scope_;
  Text* out_ = nullptr;
  Value block_input_;  // what the filters of a filter or set block work on
  int depth_ = 0;
  // Macros and namespaces can form cycles and long chains; they are kept to the end and emptied one by one.
  std::vector<ScopePtr> kept_scopes_;
  std::vector<std::shared_ptr<Namespace>> kept_namespaces_;
  Hold kept_hold_;
};

/// Counts one level of recursion.
class Interpreter::Depth {
 public:
  explicit Depth(Interpreter& interpreter) : interpreter_(interpreter) {
    if (++interpreter_.depth_ > kMaxDepth) interpreter_.runtime_.fail("the template recurses too deep");
  }
  ~Depth() { --interpreter_.depth_; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  Interpreter& interpreter_;
};

/// Puts scope and output back when it goes.
class Interpreter::Place {
 public:
  explicit Place(Interpreter& interpreter) : interpreter_(interpreter), scope_(interpreter.scope_), out_(interpreter.out_) {}
  ~Place() {
    interpreter_.scope_ = std::move(scope_);
    interpreter_.out_ = out_;
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  Interpreter& interpreter_;
  ScopePtr scope_;
  Text* out_;
};

}  // namespace citius::jinja
