// Activations (of linear and of gated products), gated products and sums.
#pragma once

#include <cstdint>

#include "tensor/tensor_view.h"

namespace citius {

enum class ActivationKind : uint8_t {
  kNone,
  kRelu,
  kGelu,       // x · Φ(x), exact (erf)
  kGeluTanh,   // Hendrycks and Gimpel 2016, tanh form
  kQuickGelu,  // x · sigmoid(1.702 x)
  kSilu,       // x · sigmoid(x)
  kTanh,
  kSigmoid,
};

/// y[t, i] = act(gate[t, i]) · up[t, i]. All [T, F] fp32, strided; y may be gate or up.
struct GatedArgs {
  TensorView gate;
  TensorView up;
  ActivationKind kind = ActivationKind::kSilu;
  TensorView y;
};

/// y = a + b, elementwise. All [T, C] fp32, strided; y may be a or b.
struct AddArgs {
  TensorView a;
  TensorView b;
  TensorView y;
};

}  // namespace citius
