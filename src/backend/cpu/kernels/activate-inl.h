// The activation functions of contract/activation.h, chosen once for a whole range of values.
#pragma once

#include "backend/cpu/kernels/math-inl.h"

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// Calls body(function), where function(F32x16) -> F32x16 is the activation `kind` (an ActivationKind).
template <typename Body>
inline void with_activation(int kind, const Body& body) {
  switch (kind) {
    case 1: body([](F32x16 x) { return max(zero_f32(), x); }); break;  // NaN stays NaN
    case 2: body([](F32x16 x) { return gelu(x); }); break;
    case 3: body([](F32x16 x) { return gelu_tanh(x); }); break;
    case 4: body([](F32x16 x) { return x * sigmoid(set_f32(1.702f) * x); }); break;
    case 5: body([](F32x16 x) { return x * sigmoid(x); }); break;
    case 6: body([](F32x16 x) { return tanh(x); }); break;
    case 7: body([](F32x16 x) { return sigmoid(x); }); break;
    default: body([](F32x16 x) { return x; }); break;
  }
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
