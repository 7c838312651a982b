// Tasks for the kernels of whole rows: of one op alone, or as the first steps of a product.
#pragma once

#include "backend/contract/activation.h"
#include "backend/contract/norm.h"
#include "backend/contract/rope.h"
#include "backend/cpu/linear_kernels.h"
#include "backend/cpu/op_kernels.h"

namespace citius::cpu {

/// norm(x) → y, without the rows.
inline NormTask norm_task(const TensorView& x, const NormWeights& weights, const TensorView& y) {
  NormTask task;
  task.x = x.row(0);
  task.x_stride = x.stride;
  task.y = y.row(0);
  task.y_stride = y.stride;
  task.weight = weights.weight.empty() ? nullptr : weights.weight.data();
  task.bias = weights.bias.empty() ? nullptr : weights.bias.data();
  task.epsilon = weights.epsilon;
  task.center = weights.kind == NormKind::kLayerNorm;
  task.channels = x.shape[-1];
  task.heads = x.shape.rank() == 3 ? x.shape[1] : 1;
  return task;
}

/// Of a and b → y, without the rows.
inline PointwiseTask pointwise_task(const TensorView& a, const TensorView& b, const TensorView& y,
                                    ActivationKind activation = ActivationKind::kNone) {
  PointwiseTask task;
  task.a = a.row(0);
  task.a_stride = a.stride;
  task.b = b.row(0);
  task.b_stride = b.stride;
  task.y = y.row(0);
  task.y_stride = y.stride;
  task.activation = static_cast<int>(activation);
  task.channels = a.shape[1];
  return task;
}

/// Of x in place, without the rows.
inline RopeTask rope_task(const TensorView& x, const Rotation& by) {
  RopeTask task;
  task.x = x.row(0);
  task.x_stride = x.stride;
  task.positions = by.positions;
  task.cos = by.cos;
  task.sin = by.sin;
  task.rotary = by.rotary;
  task.interleaved = by.interleaved;
  task.heads = x.shape[1];
  task.head_dim = x.shape[2];
  return task;
}

/// x as an integer plan wants it, without memory for it. Strides are the least that rows need.
inline QuantizeTask quantize_task(const TensorView& x, const ActivationPlan& plan) {
  QuantizeTask task;
  task.x = x.row(0);
  task.x_stride = x.stride;
  task.rows = x.rows();
  task.cols = x.shape[1];
  task.group = plan.group;
  task.aux_group = plan.aux_group;
  task.aux = plan.aux;
  task.offset = plan.offset;
  task.quad_bytes = plan.quad_bytes;
  task.code_stride = (task.cols + kBlock - 1) / kBlock * kBlock / 4 * plan.quad_bytes;
  task.scale_stride = plan.group == 0 ? 1 : task.cols / plan.group;
  task.aux_stride = plan.aux_group == 0 ? 1 : task.cols / plan.aux_group;
  return task;
}

}  // namespace citius::cpu
