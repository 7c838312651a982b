// Element types of plain tensors. Block formats of weights (q4_0, int8-g32, ...) are quant/format.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace citius {

enum class DType : uint8_t { kF64, kF32, kF16, kBF16, kF8E4M3, kF8E5M2, kI8, kI16, kI32, kI64, kU8, kBool };

size_t dtype_bytes(DType dtype);
std::string_view dtype_name(DType dtype);

}  // namespace citius
