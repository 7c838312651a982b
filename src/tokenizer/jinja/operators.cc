// + - * / // % ** of Python. Integers are 64 bits here; what would not fit is an error.
#include <cmath>

#include "tokenizer/jinja/runtime.h"
#include "tokenizer/jinja/text.h"

namespace citius::jinja {
namespace {

std::string_view symbol(Arithmetic op) {
  static constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};
  return kSymbols[static_cast<size_t>(op)];
}

double as_double(const Value& value) {
  int64_t integer = 0;
  return get_int(value, integer) ? static_cast<double>(integer) : std::get<double>(value);
}

/// Quotient rounded down and a remainder with the divisor's sign.
double floor_modulo(double a, double b) {
  double remainder = std::fmod(a, b);
  if (remainder == 0) return std::copysign(0.0, b);
  if ((remainder < 0) != (b < 0)) remainder += b;
  return remainder;
}

double floor_divide(double a, double b) {
  const double remainder = floor_modulo(a, b);
  const double quotient = (a - remainder) / b;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double floored = std::floor(quotient);
  return quotient - floored > 0.5 ? floored + 1 : floored;
}

bool integer_power(int64_t base, int64_t exponent, int64_t& out) {
  out = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(out, base, &out)) return false;
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return false;
  }
  return true;
}

}  // namespace

Value Runtime::integer_arithmetic(Arithmetic op, int64_t a, int64_t b) {
  int64_t out = 0;
  bool fits = true;
  const bool divides = op == Arithmetic::kDivide || op == Arithmetic::kFloorDivide || op == Arithmetic::kModulo;
  if (divides && b == 0) fail("division by zero");
  switch (op) {
    case Arithmetic::kAdd: fits = !__builtin_add_overflow(a, b, &out); break;
    case Arithmetic::kSubtract: fits = !__builtin_sub_overflow(a, b, &out); break;
    case Arithmetic::kMultiply: fits = !__builtin_mul_overflow(a, b, &out); break;
    case Arithmetic::kDivide: return static_cast<double>(static_cast<long double>(a) / static_cast<long double>(b));
    case Arithmetic::kFloorDivide:
      if (a == INT64_MIN && b == -1)
        fits = false;
      else
        out = a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
      break;
    case Arithmetic::kModulo:
      out = b == -1 ? 0 : a % b;
      if (out != 0 && (out < 0) != (b < 0)) out += b;
      break;
    case Arithmetic::kPower:
      if (b < 0) return float_arithmetic(op, static_cast<double>(a), static_cast<double>(b));
      fits = integer_power(a, b, out);
      break;
  }
  if (!fits) fail("{} {} {} does not fit into 64 bits", a, symbol(op), b);
  return out;
}

Value Runtime::float_arithmetic(Arithmetic op, double a, double b) {
  const bool divides = op == Arithmetic::kDivide || op == Arithmetic::kFloorDivide || op == Arithmetic::kModulo;
  if (divides && b == 0) fail("division by zero");
  switch (op) {
    case Arithmetic::kAdd: return a + b;
    case Arithmetic::kSubtract: return a - b;
    case Arithmetic::kMultiply: return a * b;
    case Arithmetic::kDivide: return a / b;
    case Arithmetic::kFloorDivide: return floor_divide(a, b);
    case Arithmetic::kModulo: return floor_modulo(a, b);
    case Arithmetic::kPower: break;
  }
  if (a == 0 && b < 0) fail("zero cannot be raised to a negative power");
  if (a < 0 && std::isfinite(b) && std::trunc(b) != b) fail("a negative number has no real power {}", b);
  const double power = std::pow(a, b);
  if (std::isinf(power) && std::isfinite(a) && std::isfinite(b)) fail("{} ** {} is too large", a, b);
  return power;
}

Value Runtime::repeat(const Value& value, int64_t count) {
  const auto times = static_cast<size_t>(std::max<int64_t>(count, 0));
  if (const Str* str = as_str(value)) {
    size_t size = 0;
    if (__builtin_mul_overflow(str->text.size(), times, &size)) fail("the repeated text is too long");
    const Hold check(&budget, size);
    budget.work_bytes(size);
    std::string out;
    out.reserve(size);
    if (str->text.size() == 1) out.assign(times, str->text[0]);
    while (out.size() < size) out += str->text;
    return this->str(std::move(out), str->markup);
  }
  const List* list = as_list(value);
  Items items(*this);
  if (!list->items.empty()) {
    for (size_t i = 0; i < times; ++i) {
      for (const Value& item : list->items) items.push(item);
    }
  }
  return items.finish(list->is_tuple);
}

namespace {

/// Text + text; beside markup the other side is escaped first.
Value concatenate(Runtime& runtime, const Str& a, const Str& b) {
  Text out(runtime);
  const bool markup = a.markup || b.markup;
  out.append(markup && !a.markup ? escape_html(a.text) : a.text);
  out.append(markup && !b.markup ? escape_html(b.text) : b.text);
  return out.finish(markup);
}

}  // namespace

Value Runtime::arithmetic(Arithmetic op, const Value& a, const Value& b) {
  budget.work();
  if (op == Arithmetic::kModulo && as_str(a) != nullptr) return format_percent(*as_str(a), b);
  if (const Undefined* undefined = std::get_if<Undefined>(&a)) fail_undefined(*undefined);
  if (const Undefined* undefined = std::get_if<Undefined>(&b)) fail_undefined(*undefined);
  int64_t x = 0, y = 0;
  const bool a_int = get_int(a, x), b_int = get_int(b, y);
  if (a_int && b_int) return integer_arithmetic(op, x, y);
  if (is_number(a) && is_number(b)) return float_arithmetic(op, as_double(a), as_double(b));
  const Str *s = as_str(a), *t = as_str(b);
  const List *p = as_list(a), *q = as_list(b);
  if (op == Arithmetic::kAdd && s != nullptr && t != nullptr) return concatenate(*this, *s, *t);
  if (op == Arithmetic::kAdd && p != nullptr && q != nullptr && p->is_tuple == q->is_tuple) {
    Items items(*this);
    for (const List* part : {p, q}) {
      for (const Value& item : part->items) items.push(item);
    }
    return items.finish(p->is_tuple);
  }
  if (op == Arithmetic::kMultiply && (s != nullptr || p != nullptr) && b_int) return repeat(a, y);
  if (op == Arithmetic::kMultiply && (t != nullptr || q != nullptr) && a_int) return repeat(b, x);
  fail("'{}' is not possible between '{}' and '{}'", symbol(op), type_name(a), type_name(b));
}

Value Runtime::negate(const Value& value) {
  budget.work();
  if (const Undefined* undefined = std::get_if<Undefined>(&value)) fail_undefined(*undefined);
  if (const double* number = std::get_if<double>(&value)) return -*number;
  int64_t integer = 0;
  if (!get_int(value, integer)) fail("a {} cannot be negated", type_name(value));
  return integer_arithmetic(Arithmetic::kSubtract, 0, integer);
}

Value Runtime::plus(const Value& value) {
  budget.work();
  if (const Undefined* undefined = std::get_if<Undefined>(&value)) fail_undefined(*undefined);
  if (std::holds_alternative<double>(value)) return value;
  int64_t integer = 0;
  if (!get_int(value, integer)) fail("unary + does not take a {}", type_name(value));
  return integer;
}

}  // namespace citius::jinja
