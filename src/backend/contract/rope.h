// Rotary position embedding (Su et al. 2021, eq. 34), in place.
#pragma once

#include <cstdint>

#include "tensor/tensor_view.h"

namespace citius {

/// Angles of T tokens. `cos` and `sin` are tables [positions, rotary / 2] that already hold scaling of frequencies and magnitudes.
struct Rotation {
  const int32_t* positions = nullptr;  // [T], each below the table's rows
  const float* cos = nullptr;
  const float* sin = nullptr;
  int64_t rotary = 0;
  bool interleaved = false;
};

/// Rotates the first `rotary` elements of every head of x [T, H, D] fp32 (strided along T) by the angle of its token's
/// position. Pairs are (i, i + rotary/2), or (2i, 2i+1) where interleaved:
///   x'[a] = fma(-x[b], sin, x[a] · cos),  x'[b] = fma(x[a], sin, x[b] · cos).
struct RopeArgs {
  TensorView x;
  Rotation rotation;
};

}  // namespace citius
