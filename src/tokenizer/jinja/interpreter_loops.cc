// The part of the interpreter that runs for loops, and the variable `loop`.
#include "tokenizer/jinja/interpreter.h"

namespace citius::jinja {

namespace {

/// The variable `loop`.
struct Loop : Object {
  Loop(Interpreter& interpreter, const Stmt& statement, ScopePtr outer, Value iterable, Next source, int depth)
      : interpreter(interpreter),
        statement(statement),
        outer(std::move(outer)),
        iterable(std::move(iterable)),
        source(std::move(source)),
        depth0(depth) {}

  std::string_view type_name() const override { return "LoopContext"; }
  int depth() const override { return depth_of(iterable) + 1; }
  bool callable() const override { return true; }

  bool advance(Value& item) {
    if (has_after) {
      has_after = false;
      item = std::move(after);
    } else if (ended || !source(item)) {
      ended = true;
      return false;
    }
    ++index0;
    before = std::exchange(current, item);
    return true;
  }

  bool peek() {
    if (!has_after && !ended) {
      has_after = source(after);
      ended = !has_after;
    }
    return has_after;
  }

  std::optional<int64_t> length(Runtime& runtime) override {
    if (known_length < 0) {
      const auto size = statement.exprs[2] ? std::nullopt : runtime.length(iterable);
      if (size) {
        known_length = *size;
      } else {
        drain(runtime);
      }
    }
    return known_length;
  }

  /// Takes all that is left, to count it.
  void drain(Runtime& runtime) {
    Items rest(runtime);
    for (Value item; source(item);) rest.push(item);
    known_length = index0 + 1 + (has_after ? 1 : 0) + static_cast<int64_t>(rest.size());
    source = runtime.iterate(rest.finish());
    ended = false;
  }

  bool attribute(Runtime& runtime, const ObjectPtr& self, std::string_view name, Value& out) override {
    if (name == "index0")
      out = index0;
    else if (name == "index")
      out = index0 + 1;
    else if (name == "first")
      out = index0 == 0;
    else if (name == "last")
      out = !peek();
    else if (name == "length")
      out = *length(runtime);
    else if (name == "revindex")
      out = *length(runtime) - index0;
    else if (name == "revindex0")
      out = *length(runtime) - index0 - 1;
    else if (name == "depth0")
      out = int64_t{depth0};
    else if (name == "depth")
      out = int64_t{depth0} + 1;
    else if (name == "previtem")
      out = index0 == 0 ? Undefined{nullptr, nullptr, "there is no previous item"} : before;
    else if (name == "nextitem")
      out = peek() ? after : Undefined{nullptr, nullptr, "there is no next item"};
    else if (name == "cycle")
      out = ObjectPtr(std::make_shared<Method>(self, cycle));
    else if (name == "changed")
      out = ObjectPtr(std::make_shared<Method>(self, changed));
    else
      return false;
    return true;
  }

  static Value cycle(Runtime& runtime, const Value& self, const Args& args) {
    if (args.positional.empty()) runtime.fail("loop.cycle needs values to cycle through");
    const auto at = static_cast<uint64_t>(as_object<Loop>(self)->index0) % args.positional.size();
    return args.positional[at];
  }

  static Value changed(Runtime& runtime, const Value& self, const Args& args) {
    auto& loop = *as_object<Loop>(self);
    Value now = runtime.list(args.positional, /*is_tuple=*/true);
    if (loop.seen && runtime.equals(loop.last_seen, now)) return false;
    loop.seen = true;
    loop.last_seen = std::move(now);
    return true;
  }

  Value call(Runtime& runtime, Args& args) override {
    if (!statement.flag) runtime.fail("only a loop marked 'recursive' can be called");
    const Bound bound = bind(runtime, "loop", args, {"iterable"}, 1);
    return interpreter.call_loop(statement, outer, *bound[0], depth0 + 1);
  }

  Interpreter& interpreter;
  const Stmt& statement;
  ScopePtr outer;
  Value iterable;
  Next source;
  int depth0;
  int64_t index0 = -1;
  int64_t known_length = -1;
  bool has_after = false, ended = false, seen = false;
  Value before, current, after, last_seen;
};

}  // namespace

/// Items for which the condition of `for x in y if condition` holds, tested when they are asked for.
Next Interpreter::filtered(const Stmt& statement, const Value& iterable) {
  return [this, &statement, outer = scope_, next = runtime_.iterate(iterable)](Value& item) {
    const Place place(*this);
    while (next(item)) {
      scope_ = new_scope(outer);
      assign(*statement.exprs[0], item);
      if (runtime_.truthy(evaluate(*statement.exprs[2]))) return true;
    }
    return false;
  };
}

Flow Interpreter::execute_for(const Stmt& statement) {
  const Value iterable = evaluate(*statement.exprs[1]);
  if (!statement.flag) return run_loop(statement, iterable, /*depth=*/0);
  out_->append_value(call_loop(statement, scope_, iterable, /*depth=*/0));
  return Flow::kNext;
}

Value Interpreter::call_loop(const Stmt& loop, const ScopePtr& outer, const Value& iterable, int depth) {
  const Depth level(*this);
  const Place place(*this);
  Text out(runtime_);
  out_ = &out;
  scope_ = outer;
  run_loop(loop, iterable, depth);
  return out.finish();
}

/// Gives a `break` or `continue` of the else branch, which concern the loop around this one.
Flow Interpreter::run_loop(const Stmt& statement, const Value& iterable, int depth) {
  const Place place(*this);
  const ScopePtr outer = scope_;
  Next source = statement.exprs[2] ? filtered(statement, iterable) : runtime_.iterate(iterable);
  const auto loop = std::make_shared<Loop>(*this, statement, outer, iterable, std::move(source), depth);
  bool completed = false;
  for (Value item; loop->advance(item);) {
    scope_ = new_scope(outer);
    assign(*statement.exprs[0], std::move(item));
    scope_->set(template_.loop, ObjectPtr(loop));
    const Flow flow = execute(statement.body);
    if (flow == Flow::kBreak) break;
    // As in Jinja, an iteration that `continue` cut short does not keep the else branch from running.
    completed = completed || flow == Flow::kNext;
  }
  if (completed || statement.other.empty()) return Flow::kNext;
  scope_ = new_scope(outer);
  return execute(statement.other);
}

}  // namespace citius::jinja
