#include "tokenizer/jinja/interpreter.h"

namespace citius::jinja {
const Value* Scope::find(int symbol) const {
  for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
    for (const auto& [name, value] : scope->variables) {
      if (name == symbol) return &value;
    }
  }
  return nullptr;
}

void Scope::set(int symbol, Value value) {
  for (auto& [name, old] : variables) {
    if (name == symbol) {
      old = std::move(value);
      return;
    }
  }
  variables.emplace_back(symbol, std::move(value));
}

Interpreter::Interpreter(const Template& compiled, Runtime& runtime, Clock clock)
    : template_(compiled), runtime_(runtime), kept_hold_(&runtime.budget, 0) {
  root_ = std::make_shared<Scope>(std::make_shared<Scope>(nullptr));
  scope_ = root_;
  add_globals(std::move(clock));
}

Interpreter::~Interpreter() {
  for (const ScopePtr& scope : kept_scopes_) std::exchange(scope->variables, {}).clear();
  root_->variables.clear();
  for (const auto& space : kept_namespaces_) space->attributes = Dict();
}

void Interpreter::set_variable(const std::string& name, Value value) {
  const int symbol = template_.symbols.find(name);
  if (symbol >= 0) root_->set(symbol, std::move(value));
}

std::string Interpreter::render() {
  Text out(runtime_);
  out_ = &out;
  execute(template_.body);
  return out.take();
}

ScopePtr Interpreter::new_scope(ScopePtr parent) {
  runtime_.budget.work();
  return std::make_shared<Scope>(std::move(parent));
}

Flow Interpreter::execute(const Body& body) {
  const Depth depth(*this);
  for (const auto& statement : body) {
    const Flow flow = execute(*statement);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Flow Interpreter::execute(const Stmt& statement) {
  runtime_.budget.work();
  runtime_.budget.line = statement.line;
  switch (statement.kind) {
    case StmtKind::kData: out_->append(statement.text); break;
    case StmtKind::kPrint:
      for (const ExprPtr& expr : statement.exprs) out_->append_value(evaluate(*expr));
      break;
    case StmtKind::kFor: return execute_for(statement);
    case StmtKind::kIf: return execute_if(statement);
    case StmtKind::kSet: assign(*statement.exprs[0], evaluate(*statement.exprs[1])); break;
    case StmtKind::kSetBlock: return execute_set_block(statement);
    case StmtKind::kMacro: scope_->set(statement.symbol, make_macro(*statement.macro)); break;
    case StmtKind::kCallBlock: execute_call_block(statement); break;
    case StmtKind::kFilterBlock: return execute_filter_block(statement);
    case StmtKind::kWith: return execute_with(statement);
    case StmtKind::kScope:
    case StmtKind::kBlock: execute_block(statement); break;
    case StmtKind::kBreak: return Flow::kBreak;
    case StmtKind::kContinue: return Flow::kContinue;
    case StmtKind::kRefuse: runtime_.fail("{}", statement.text);
  }
  return Flow::kNext;
}

Flow Interpreter::execute_if(const Stmt& statement) {
  for (size_t i = 0; i < statement.exprs.size(); ++i) {
    if (runtime_.truthy(evaluate(*statement.exprs[i]))) return execute(statement.bodies[i]);
  }
  if (statement.bodies.size() > statement.exprs.size()) return execute(statement.bodies.back());
  return Flow::kNext;
}

Flow Interpreter::execute_set_block(const Stmt& statement) {
  Value value;
  {
    const Place place(*this);
    scope_ = new_scope(scope_);
    Text out(runtime_);
    out_ = &out;
    const Flow flow = execute(statement.body);
    if (flow != Flow::kNext) return flow;
    value = out.finish();
    if (statement.exprs[1]) {
      block_input_ = std::move(value);
      value = evaluate(*statement.exprs[1]);
    }
  }
  assign(*statement.exprs[0], std::move(value));
  return Flow::kNext;
}

Flow Interpreter::execute_filter_block(const Stmt& statement) {
  Value value;
  Flow flow = Flow::kNext;
  {
    const Place place(*this);
    scope_ = new_scope(scope_);
    Text out(runtime_);
    out_ = &out;
    flow = execute(statement.body);
    if (flow != Flow::kNext) return flow;  // what was written before a break is lost, as in Jinja
    block_input_ = out.finish();
    value = evaluate(*statement.exprs[0]);
  }
  out_->append_value(value);
  return flow;
}

Flow Interpreter::execute_with(const Stmt& statement) {
  const Place place(*this);
  const ScopePtr inner = new_scope(scope_);
  // All values are computed outside before any name is set inside.
  std::vector<Value> values;
  for (size_t i = 1; i < statement.exprs.size(); i += 2) values.push_back(evaluate(*statement.exprs[i]));
  scope_ = inner;
  for (size_t i = 0; i < values.size(); ++i) assign(*statement.exprs[2 * i], values[i]);
  return execute(statement.body);
}

void Interpreter::execute_block(const Stmt& statement) {
  const Place place(*this);
  const bool sees_outer = statement.kind == StmtKind::kScope || statement.flag;
  scope_ = new_scope(sees_outer ? scope_ : root_);
  execute(statement.body);
}

void Interpreter::assign(const Expr& target, Value value) {
  if (target.kind == ExprKind::kName) {
    runtime_.budget.work(scope_->variables.size() / 16);
    scope_->set(target.symbol, std::move(value));
    return;
  }
  if (target.kind == ExprKind::kNamespaceRef) return assign_attribute(target, std::move(value));
  const std::vector<Value> items = runtime_.to_vector(value);
  if (items.size() != target.children.size()) {
    runtime_.fail("cannot unpack {} values into {} names", items.size(), target.children.size());
  }
  for (size_t i = 0; i < items.size(); ++i) assign(*target.children[i], items[i]);
}

void Interpreter::assign_attribute(const Expr& target, Value value) {
  const Value* found = scope_->find(target.symbol);
  auto* space = found == nullptr ? nullptr : as_object<Namespace>(*found);
  if (space == nullptr) {
    runtime_.fail("cannot set '{}' of '{}', which is no namespace", target.name->text, template_.symbols.name(target.symbol)->text);
  }
  runtime_.set_item(space->attributes, target.name, std::move(value));
}

// Expressions

Value Interpreter::lookup(const Expr& name) const {
  runtime_.budget.work(root_->variables.size() / 16);
  const Value* found = scope_->find(name.symbol);
  return found != nullptr ? *found : Value(Undefined{name.name, nullptr, nullptr});
}

Value Interpreter::evaluate(const Expr& expr) {
  const Depth depth(*this);
  runtime_.budget.work();
  runtime_.budget.line = expr.line;
  switch (expr.kind) {
    case ExprKind::kConst: return expr.value;
    case ExprKind::kName: return lookup(expr);
    case ExprKind::kNamespaceRef: runtime_.fail("an attribute of a namespace cannot be read as a target");
    case ExprKind::kTuple:
    case ExprKind::kList:
    case ExprKind::kDict:
    case ExprKind::kConcat: return evaluate_collection(expr);
    case ExprKind::kAttribute:
    case ExprKind::kItem:
    case ExprKind::kSlice: return evaluate_access(expr);
    case ExprKind::kCall: return evaluate_call(expr);
    case ExprKind::kFilter:
    case ExprKind::kTest: return evaluate_filter(expr);
    case ExprKind::kCompare: return evaluate_compare(expr);
    default: return evaluate_operator(expr);
  }
}

Value Interpreter::evaluate_operator(const Expr& expr) {
  Value first = evaluate(*expr.children[0]);
  switch (expr.kind) {
    case ExprKind::kNot: return !runtime_.truthy(first);
    case ExprKind::kNegate: return runtime_.negate(first);
    case ExprKind::kPlus: return runtime_.plus(first);
    case ExprKind::kAnd: return runtime_.truthy(first) ? evaluate(*expr.children[1]) : first;
    case ExprKind::kOr: return runtime_.truthy(first) ? first : evaluate(*expr.children[1]);
    case ExprKind::kCondition:
      if (runtime_.truthy(first)) return evaluate(*expr.children[1]);
      if (expr.children[2]) return evaluate(*expr.children[2]);
      return Undefined{nullptr, nullptr, "an inline 'if' was false and has no 'else'"};
    default: break;
  }
  const Value second = evaluate(*expr.children[1]);
  runtime_.budget.line = expr.line;
  return runtime_.arithmetic(expr.arithmetic, first, second);
}

Value Interpreter::evaluate_access(const Expr& expr) {
  const Value object = evaluate(*expr.children[0]);
  if (expr.kind == ExprKind::kAttribute) return runtime_.get_attribute(object, expr.name);
  if (expr.kind == ExprKind::kItem) return runtime_.get_item(object, evaluate(*expr.children[1]));
  const Value start = optional(expr.children[1]);
  const Value stop = optional(expr.children[2]);
  return runtime_.slice(object, start, stop, optional(expr.children[3]));
}

Value Interpreter::evaluate_collection(const Expr& expr) {
  if (expr.kind == ExprKind::kConcat) {
    Text out(runtime_);
    for (const ExprPtr& child : expr.children) out.append_value(evaluate(*child));
    return out.finish();
  }
  if (expr.kind == ExprKind::kDict) {
    Dict dict;
    for (size_t i = 0; i < expr.children.size(); i += 2) {
      Value key = evaluate(*expr.children[i]);
      runtime_.set_item(dict, std::move(key), evaluate(*expr.children[i + 1]));
    }
    return runtime_.dict(std::move(dict));
  }
  Items items(runtime_);
  for (const ExprPtr& child : expr.children) items.push(evaluate(*child));
  return items.finish(/*is_tuple=*/expr.kind == ExprKind::kTuple);
}

bool Interpreter::compare(Compare op, const Value& a, const Value& b) {
  switch (op) {
    case Compare::kEqual: return runtime_.equals(a, b);
    case Compare::kNotEqual: return !runtime_.equals(a, b);
    case Compare::kLess: return runtime_.ordered(a, b, Order::kLess);
    case Compare::kLessEqual: return runtime_.ordered(a, b, Order::kLessEqual);
    case Compare::kGreater: return runtime_.ordered(a, b, Order::kGreater);
    case Compare::kGreaterEqual: return runtime_.ordered(a, b, Order::kGreaterEqual);
    case Compare::kIn: return runtime_.contains(b, a);
    case Compare::kNotIn: return !runtime_.contains(b, a);
  }
  return false;
}

/// a < b < c holds where each neighbouring pair does, b being evaluated once.
Value Interpreter::evaluate_compare(const Expr& expr) {
  Value left = evaluate(*expr.children[0]);
  for (size_t i = 0; i < expr.compare.size(); ++i) {
    Value right = evaluate(*expr.children[i + 1]);
    runtime_.budget.line = expr.line;
    if (!compare(expr.compare[i], left, right)) return false;
    left = std::move(right);
  }
  return true;
}

Value Interpreter::evaluate_filter(const Expr& expr) {
  const Value input = expr.children[0] ? evaluate(*expr.children[0]) : std::move(block_input_);
  const Args args = evaluate_arguments(*expr.args);
  runtime_.budget.line = expr.line;
  if (expr.kind == ExprKind::kTest) {
    if (expr.test == nullptr) runtime_.fail("there is no test '{}'", expr.name->text);
    return expr.test(runtime_, input, args);
  }
  if (expr.filter == nullptr) runtime_.fail("there is no filter '{}'", expr.name->text);
  return expr.filter(runtime_, input, args);
}

Value Interpreter::evaluate_call(const Expr& expr) {
  const Value callee = evaluate(*expr.children[0]);
  Args args = evaluate_arguments(*expr.args);
  runtime_.budget.line = expr.line;
  return runtime_.call(callee, args);
}

Args Interpreter::evaluate_arguments(const CallArgs& args) {
  Args out;
  for (const ExprPtr& expr : args.positional) out.positional.push_back(evaluate(*expr));
  if (args.star) {
    for (Value& value : runtime_.to_vector(evaluate(*args.star))) out.positional.push_back(std::move(value));
  }
  for (const auto& [name, expr] : args.keyword) out.keyword.emplace_back(name, evaluate(*expr));
  if (args.star_star) {
    const Value more = evaluate(*args.star_star);
    const Dict* dict = as_dict(more);
    if (dict == nullptr) runtime_.fail("'**' expects a dict, got a {}", type_name(more));
    for (const auto& [key, value] : dict->items) {
      const Str* name = as_str(key);
      if (name == nullptr) runtime_.fail("the names of arguments are strings, got a {}", type_name(key));
      runtime_.budget.work(out.keyword.size() / 8 + 1);
      for (const auto& known : out.keyword) {
        if (known.first == name->text) runtime_.fail("got two values for the argument '{}'", name->text);
      }
      out.keyword.emplace_back(name->text, value);
    }
  }
  return out;
}

}  // namespace citius::jinja
