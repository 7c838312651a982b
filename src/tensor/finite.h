// Results that are no numbers: weights that are none, or sums beyond float's range.
#pragma once

#include <string_view>

#include "tensor/tensor_view.h"

namespace citius {

/// Throws Error{kFailed} where an element of `values` (f32) is a NaN or an infinity; `where` is the model, `what` its outputs.
void require_finite(const TensorView& values, std::string_view where, std::string_view what);

}  // namespace citius
