// The part of the interpreter that defines and calls macros and call blocks.
#include "tokenizer/jinja/interpreter.h"

namespace citius::jinja {

namespace {

struct Macro : Object {
  Macro(Interpreter& interpreter, const MacroDef& definition, ScopePtr closure)
      : interpreter(interpreter), definition(definition), closure(std::move(closure)) {}
  std::string_view type_name() const override { return "Macro"; }
  bool callable() const override { return true; }
  std::string repr() const override { return definition.name.empty() ? "<Macro anonymous>" : "<Macro '" + definition.name + "'>"; }
  bool attribute(Runtime& runtime, const ObjectPtr& /*self*/, std::string_view name, Value& out) override {
    if (name == "name") {
      out = definition.name.empty() ? Value(None{}) : runtime.str(definition.name);
    } else if (name == "arguments") {
      Items names(runtime);
      for (const std::string& parameter : definition.parameters) names.push(runtime.str(parameter));
      out = names.finish(/*is_tuple=*/true);
    } else if (name == "caller" || name == "catch_kwargs" || name == "catch_varargs") {
      out = name == "caller" ? definition.uses_caller : name == "catch_kwargs" ? definition.uses_kwargs : definition.uses_varargs;
    } else {
      return false;
    }
    return true;
  }
  Value call(Runtime& /*runtime*/, Args& args) override { return interpreter.call_macro(definition, closure, args); }

  Interpreter& interpreter;
  const MacroDef& definition;
  ScopePtr closure;
};

}  // namespace

Value Interpreter::make_macro(const MacroDef& macro) {
  kept_hold_.grow(sizeof(Macro) + sizeof(Scope) + 64);
  if (kept_scopes_.empty() || kept_scopes_.back() != scope_) kept_scopes_.push_back(scope_);
  return ObjectPtr(std::make_shared<Macro>(*this, macro, scope_));
}

Value Interpreter::call_macro(const MacroDef& macro, const ScopePtr& closure, const Args& args) {
  const Depth level(*this);
  const Place place(*this);
  const int line = runtime_.budget.line;
  scope_ = new_scope(closure);
  Text out(runtime_);
  out_ = &out;
  bind_parameters(macro, args);
  execute(macro.body);
  runtime_.budget.line = line;
  return out.finish();
}

void Interpreter::bind_parameters(const MacroDef& macro, const Args& args) {
  const size_t count = macro.parameters.size();
  std::vector<bool> used(args.keyword.size(), false);
  std::vector<bool> given(count, false);
  for (size_t i = 0; i < count; ++i) {
    const Value* value = i < args.positional.size() ? &args.positional[i] : nullptr;
    runtime_.budget.work((args.keyword.size() + i) / 8 + 1);
    for (size_t k = 0; value == nullptr && k < args.keyword.size(); ++k) {
      if (args.keyword[k].first != macro.parameters[i]) continue;
      value = &args.keyword[k].second;
      used[k] = true;
    }
    given[i] = value != nullptr;
    scope_->set(macro.symbols[i], given[i] ? *value : Undefined{template_.symbols.name(macro.symbols[i]), nullptr, nullptr});
  }
  bind_extra(macro, args, used);
  for (size_t i = 0; i < count; ++i) {
    if (!given[i] && macro.defaults[i]) scope_->set(macro.symbols[i], evaluate(*macro.defaults[i]));
  }
}

/// The implicit `caller`, `kwargs` and `varargs`, and the errors of arguments that nothing takes.
void Interpreter::bind_extra(const MacroDef& macro, const Args& args, std::vector<bool>& used) {
  if (macro.uses_caller) {
    Value caller = Undefined{nullptr, nullptr, "the macro was called without a call block"};
    for (size_t k = 0; k < args.keyword.size(); ++k) {
      if (used[k] || args.keyword[k].first != "caller") continue;
      used[k] = true;
      if (!is_none(args.keyword[k].second)) caller = args.keyword[k].second;
    }
    scope_->set(template_.caller, std::move(caller));
  }
  Dict rest;
  for (size_t k = 0; k < args.keyword.size(); ++k) {
    if (used[k]) continue;
    if (!macro.uses_kwargs) runtime_.fail("the macro '{}' takes no argument '{}'", macro.name, args.keyword[k].first);
    runtime_.set_item(rest, runtime_.str(args.keyword[k].first), args.keyword[k].second);
  }
  if (macro.uses_kwargs) scope_->set(template_.kwargs, runtime_.dict(std::move(rest)));
  Items more(runtime_);
  for (size_t i = macro.parameters.size(); i < args.positional.size(); ++i) more.push(args.positional[i]);
  if (macro.uses_varargs) {
    scope_->set(template_.varargs, more.finish(/*is_tuple=*/true));
  } else if (more.size() > 0) {
    runtime_.fail("the macro '{}' takes at most {} arguments, got {}", macro.name, macro.parameters.size(), args.positional.size());
  }
}

void Interpreter::execute_call_block(const Stmt& statement) {
  const Expr& call = *statement.exprs[0];
  const Value callee = evaluate(*call.children[0]);
  Args args = evaluate_arguments(*call.args);
  args.keyword.emplace_back("caller", make_macro(*statement.macro));
  out_->append_value(runtime_.call(callee, args));
}

}  // namespace citius::jinja
