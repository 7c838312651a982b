// Gated products, sums and rotary embedding. A tail is the same vector code with the lanes behind it masked, so
// an element's result does not depend on where in a row it stands.
#pragma once

#include "backend/cpu/kernels/activate-inl.h"
#include "backend/cpu/op_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// y = f(a, b) over the task's rows.
template <typename F>
inline void each_element(const PointwiseTask& task, const F& f) {
  for (int64_t t = task.begin; t < task.end; ++t) {
    const float* a = task.a + t * task.a_stride;
    const float* b = task.b + t * task.b_stride;
    float* y = task.y + t * task.y_stride;
    int64_t i = 0;
    for (; i + 16 <= task.channels; i += 16) store_f32(y + i, f(load_f32(a + i), load_f32(b + i)));
    const int64_t rest = task.channels - i;
    if (rest > 0) store_first(y + i, f(load_first(a + i, rest), load_first(b + i, rest)), rest);
  }
}

inline void gated(const PointwiseTask& task) {
  with_activation(task.activation, [&](const auto& act) { each_element(task, [&](F32x16 gate, F32x16 up) { return act(gate) * up; }); });
}

inline void add(const PointwiseTask& task) {
  each_element(task, [](F32x16 a, F32x16 b) { return a + b; });
}

// One vector of pairs: a and b turn by the angle.
inline void rotate(F32x16& a, F32x16& b, F32x16 c, F32x16 s) {
  const F32x16 old = a;
  a = fnma(b, s, a * c);
  b = fma(old, s, b * c);
}

inline void rotate_halves(float* x, const float* c, const float* s, int64_t half) {
  for (int64_t i = 0; i < half; i += 16) {
    const int64_t lanes = half - i < 16 ? half - i : 16;
    F32x16 a = load_first(x + i, lanes), b = load_first(x + half + i, lanes);
    rotate(a, b, load_first(c + i, lanes), load_first(s + i, lanes));
    store_first(x + i, a, lanes);
    store_first(x + half + i, b, lanes);
  }
}

inline void rotate_pairs(float* x, const float* c, const float* s, int64_t half) {
  for (int64_t i = 0; i < half; i += 16) {
    const int64_t lanes = half - i < 16 ? half - i : 16;
    float even[16] = {}, odd[16] = {};
    for (int64_t j = 0; j < lanes; ++j) {
      even[j] = x[2 * (i + j)];
      odd[j] = x[2 * (i + j) + 1];
    }
    F32x16 a = load_f32(even), b = load_f32(odd);
    rotate(a, b, load_first(c + i, lanes), load_first(s + i, lanes));
    store_f32(even, a);
    store_f32(odd, b);
    for (int64_t j = 0; j < lanes; ++j) {
      x[2 * (i + j)] = even[j];
      x[2 * (i + j) + 1] = odd[j];
    }
  }
}

inline void rope(const RopeTask& task) {
  const int64_t half = task.rotary / 2;
  for (int64_t t = task.begin; t < task.end; ++t) {
    const float* c = task.cos + task.positions[t] * half;
    const float* s = task.sin + task.positions[t] * half;
    for (int64_t h = 0; h < task.heads; ++h) {
      float* x = task.x + t * task.x_stride + h * task.head_dim;
      if (task.interleaved) {
        rotate_pairs(x, c, s, half);
      } else {
        rotate_halves(x, c, s, half);
      }
    }
  }
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
