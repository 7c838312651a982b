#include "ops/ops.h"

#include "base/check.h"

namespace citius::ops {
namespace {

void check_f32(const TensorView& x) { CHECK(x.data != nullptr && x.dtype == DType::kF32); }

NormArgs norm_args(const TensorView& x, const NormWeights& weights) {
  check_f32(x);
  const auto channels = static_cast<size_t>(x.shape[-1]);
  CHECK(weights.weight.empty() || weights.weight.size() == channels);
  CHECK(weights.bias.empty() || weights.bias.size() == channels);
  NormArgs args;
  args.x = x;
  args.kind = weights.kind;
  args.weight = weights.weight.empty() ? nullptr : weights.weight.data();
  args.bias = weights.bias.empty() ? nullptr : weights.bias.data();
  args.epsilon = weights.epsilon;
  return args;
}

}  // namespace

TensorView linear(const ForwardContext& ctx, const TensorView& x, const PackedWeight& weight, const float* bias, ActivationKind activation,
                  const TensorView& residual) {
  const TensorView y = ctx.alloc({x.shape[0], weight.rows()});
  linear_into(ctx, x, weight, bias, activation, residual, y);
  return y;
}

void linear_into(const ForwardContext& ctx, const TensorView& x, const PackedWeight& weight, const float* bias, ActivationKind activation,
                 const TensorView& residual, const TensorView& y) {
  check_f32(x);
  check_f32(y);
  CHECK((y.shape == Shape{x.shape[0], weight.rows()}));
  CHECK(x.shape.rank() == 2 && x.shape[1] == weight.cols());
  CHECK(!residual || (residual.shape == Shape{x.shape[0], weight.rows()}));
  LinearArgs args;
  args.x = x;
  args.weight = &weight;
  args.bias = bias;
  args.activation = activation;
  args.residual = residual;
  args.y = y;
  args.compute = ctx.compute;
  if (x.shape[0] > 0) ctx.backend.linear(args);
}

TensorView norm(const ForwardContext& ctx, const TensorView& x, const NormWeights& weights) {
  const TensorView y = ctx.alloc(x.shape);
  norm_into(ctx, x, weights, y);
  return y;
}

void norm_into(const ForwardContext& ctx, const TensorView& x, const NormWeights& weights, const TensorView& y) {
  CHECK(y.shape == x.shape);
  NormArgs args = norm_args(x, weights);
  args.y = y;
  if (x.rows() > 0) ctx.backend.norm(args);
}

TensorView gated(const ForwardContext& ctx, const TensorView& gate, const TensorView& up, ActivationKind kind) {
  check_f32(gate);
  check_f32(up);
  CHECK(gate.shape == up.shape);
  const TensorView y = gate.dense() ? gate : ctx.alloc(gate.shape);
  if (gate.rows() > 0) ctx.backend.gated({gate, up, kind, y});
  return y;
}

void add_in_place(const ForwardContext& ctx, const TensorView& a, const TensorView& b) {
  check_f32(a);
  check_f32(b);
  CHECK(a.shape == b.shape);
  if (a.rows() > 0) ctx.backend.add({a, b, a});
}

void rope_in_place(const ForwardContext& ctx, const RopeArgs& args) {
  check_f32(args.x);
  CHECK(args.x.shape.rank() == 3 && args.rotary > 0 && args.rotary % 2 == 0 && args.rotary <= args.x.shape[2]);
  if (args.x.rows() > 0) ctx.backend.rope(args);
}

void kv_write(const ForwardContext& ctx, const KvWriteArgs& args) {
  check_f32(args.k);
  check_f32(args.v);
  CHECK(args.k.shape == args.v.shape && args.k.shape[1] == args.kv->heads && args.k.shape[2] == args.kv->head_dim);
  if (args.k.rows() > 0) ctx.backend.kv_write(args);
}

TensorView attention(const ForwardContext& ctx, AttentionArgs args) {
  check_f32(args.q);
  CHECK(args.q.shape.rank() == 3 && args.q.shape[2] == args.kv->head_dim && args.q.shape[1] % args.kv->heads == 0);
  args.out = ctx.alloc(args.q.shape);
  if (args.q.rows() > 0) ctx.backend.attention(args);
  return args.out;
}

}  // namespace citius::ops
