// The parsed form of a template. Expressions and statements are one node type each: a kind and generic children, whose
// meaning per kind is written beside it. A Template is immutable and may be rendered by any number of threads at once.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "tokenizer/jinja/runtime.h"

namespace citius::jinja {

struct Expr;
struct Stmt;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<std::unique_ptr<Stmt>>;

/// Arguments as written: f(a, b, key=c, *star, **star_star).
struct CallArgs {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> keyword;
  ExprPtr star;
  ExprPtr star_star;
};

enum class ExprKind {
  kConst,         // value
  kName,          // symbol
  kNamespaceRef,  // symbol.name, as a target only
  kTuple,         // children
  kList,          // children
  kDict,          // children: key, value, key, value, ...
  kAttribute,     // children[0].name
  kItem,          // children[0][children[1]]
  kSlice,         // children[0][children[1]:children[2]:children[3]], 1 to 3 may be null
  kCall,          // children[0](args)
  kFilter,        // children[0] | name(args); children[0] is null in a filter or set block
  kTest,          // children[0] is name(args)
  kNot,
  kNegate,
  kPlus,  // children[0]
  kAnd,
  kOr,          // children[0], children[1]
  kCompare,     // children[0] compare[0] children[1] compare[1] children[2] ...
  kConcat,      // children joined as text
  kArithmetic,  // children[0] arithmetic children[1]
  kCondition,   // children[1] if children[0] else children[2], which may be null
};

enum class Compare { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };

struct Expr {
  ExprKind kind = ExprKind::kConst;
  int line = 0;
  int depth = 1;  // height of the tree below, bounded by the parser
  int symbol = -1;
  StrPtr name;
  Value value;
  std::vector<ExprPtr> children;
  std::unique_ptr<CallArgs> args;
  std::vector<Compare> compare;
  Arithmetic arithmetic = Arithmetic::kAdd;
  NativeFunction filter = nullptr;  // null where no filter has that name
  NativeTest test = nullptr;
};

/// A macro, or the body of a call block, which is one without a name.
struct MacroDef {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<int> symbols;       // one a parameter
  std::vector<ExprPtr> defaults;  // one a parameter, null where it has none
  Body body;
  bool uses_caller = false, uses_kwargs = false, uses_varargs = false;  // read in the body without being a parameter
};

enum class StmtKind {
  kData,         // text
  kPrint,        // exprs
  kFor,          // exprs: target, iterated, condition or null; body, other (else); flag: recursive
  kIf,           // exprs: conditions; bodies, one more than exprs where there is an else
  kSet,          // exprs: target, value
  kSetBlock,     // exprs: target, filters or null; body
  kMacro,        // macro, symbol
  kCallBlock,    // exprs: call; macro: the caller
  kFilterBlock,  // exprs: filters; body
  kWith,         // exprs: target, value, target, value, ...; body
  kScope,        // body (generation)
  kBlock,        // body (block); flag: scoped
  kBreak,
  kContinue,
  kRefuse,  // text: why this cannot be rendered
};

struct Stmt {
  StmtKind kind = StmtKind::kData;
  int line = 0;
  int symbol = -1;
  bool flag = false;
  std::string text;
  std::vector<ExprPtr> exprs;
  Body body;
  Body other;
  std::vector<Body> bodies;
  std::unique_ptr<MacroDef> macro;
};

/// Names of variables as small integers.
class Symbols {
 public:
  int intern(const std::string& name);
  /// -1 where the template does not mention it.
  int find(const std::string& name) const;
  const StrPtr& name(int symbol) const { return names_[static_cast<size_t>(symbol)]; }

 private:
  std::unordered_map<std::string, int> ids_;
  std::vector<StrPtr> names_;
};

struct Template {
  Body body;
  Symbols symbols;
  int loop = -1, caller = -1, kwargs = -1, varargs = -1;  // symbols with a meaning of their own
};

/// Throws Error{kInput} for what Jinja refuses to compile, and for what is beyond the limits of nesting.
Template parse_template(std::string_view source);

}  // namespace citius::jinja
