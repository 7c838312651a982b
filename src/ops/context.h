// What an op runs with: the backend, the arena its results live in, the compute mode and who watches. Passed explicitly;
// there is no global state.
#pragma once

#include <functional>
#include <string_view>

#include "backend/backend.h"
#include "tensor/arena.h"

namespace citius {

/// Sees activations as they pass. Unset members cost nothing.
struct Observer {
  /// Input [T, K] of the weight named `name` (its name in the checkpoint), before quantization.
  std::function<void(std::string_view name, const TensorView& x)> linear_input;
  /// Hidden states [T, C] that enter layer 0 (layer = 0) and leave layer i (layer = i + 1), before any final norm.
  std::function<void(int layer, const TensorView& hidden)> hidden;
};

struct ForwardContext {
  Backend& backend;
  Arena& arena;
  Compute compute = Compute::kFast;
  const Observer* observer = nullptr;

  TensorView alloc(Shape shape, DType dtype = DType::kF32) const { return arena.alloc(shape, dtype); }
};

}  // namespace citius
