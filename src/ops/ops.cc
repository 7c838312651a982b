#include "ops/ops.h"

#include <iterator>

#include "base/check.h"

namespace citius::ops {
namespace {

void check_f32(const TensorView& x) { CHECK(x.data != nullptr && x.dtype == DType::kF32); }

void check_weights(const NormWeights& weights, int64_t channels) {
  CHECK(weights.weight.empty() || std::ssize(weights.weight) == channels);
  CHECK(weights.bias.empty() || std::ssize(weights.bias) == channels);
}

}  // namespace

TensorView linear(const ForwardContext& ctx, const LinearInput& x, const PackedWeight& weight, const float* bias, ActivationKind activation,
                  const TensorView& residual) {
  const TensorView y = ctx.alloc({x.x.shape[0], weight.rows()});
  linear_into(ctx, x, weight, bias, activation, residual, y);
  return y;
}

void linear_into(const ForwardContext& ctx, const LinearInput& input, const PackedWeight& weight, const float* bias,
                 ActivationKind activation, const TensorView& residual, const TensorView& y) {
  const TensorView& x = input.x;
  check_f32(x);
  check_f32(y);
  CHECK((y.shape == Shape{x.shape[0], weight.rows()}));
  CHECK(x.shape.rank() == 2 && x.shape[1] == weight.cols());
  CHECK(!residual || (residual.shape == Shape{x.shape[0], weight.rows()}));
  CHECK(!input.norm || !input.up);
  if (input.norm) check_weights(*input.norm, x.shape[1]);
  if (input.up) check_f32(input.up);
  CHECK(!input.up || input.up.shape == x.shape);
  LinearArgs args;
  args.input = input;
  args.weight = &weight;
  args.bias = bias;
  args.activation = activation;
  args.residual = residual;
  args.y = y;
  args.compute = ctx.compute;
  if (x.shape[0] > 0) ctx.backend.linear(args);
}

TensorView evaluate(const ForwardContext& ctx, const LinearInput& input) {
  if (input.norm) return norm(ctx, input.x, *input.norm);
  if (!input.up) return input.x;
  const TensorView y = ctx.alloc(input.x.shape);
  if (y.rows() > 0) ctx.backend.gated({input.x, input.up, input.gate, y});
  return y;
}

TensorView norm(const ForwardContext& ctx, const TensorView& x, const NormWeights& weights) {
  const TensorView y = ctx.alloc(x.shape);
  norm_into(ctx, x, weights, y);
  return y;
}

void norm_into(const ForwardContext& ctx, const TensorView& x, const NormWeights& weights, const TensorView& y) {
  check_f32(x);
  CHECK(y.shape == x.shape);
  check_weights(weights, x.shape[-1]);
  if (x.rows() > 0) ctx.backend.norm({x, weights, y});
}

void add_in_place(const ForwardContext& ctx, const TensorView& a, const TensorView& b) {
  check_f32(a);
  check_f32(b);
  CHECK(a.shape == b.shape);
  if (a.rows() > 0) ctx.backend.add({a, b, a});
}

TensorView attention(const ForwardContext& ctx, AttentionArgs args) {
  check_f32(args.q);
  check_f32(args.k);
  check_f32(args.v);
  CHECK(args.k.shape == args.v.shape && (args.k.shape == Shape{args.q.rows(), args.kv->heads, args.kv->head_dim}));
  const int64_t rotary = args.rope ? args.rope->rotary : 0;
  CHECK(rotary >= 0 && rotary % 2 == 0 && rotary <= args.kv->head_dim);
  CHECK(args.q.shape.rank() == 3 && args.q.shape[2] == args.kv->head_dim && args.q.shape[1] % args.kv->heads == 0);
  args.out = ctx.alloc(args.q.shape);
  if (args.q.rows() > 0) ctx.backend.attention(args);
  return args.out;
}

}  // namespace citius::ops
