#include "tensor/dtype.h"

#include "base/check.h"

namespace citius {
namespace {

struct Row {
  size_t bytes;
  std::string_view name;
};

Row row(DType dtype) {
  switch (dtype) {
    case DType::kF64: return {8, "F64"};
    case DType::kF32: return {4, "F32"};
    case DType::kF16: return {2, "F16"};
    case DType::kBF16: return {2, "BF16"};
    case DType::kF8E4M3: return {1, "F8_E4M3"};
    case DType::kF8E5M2: return {1, "F8_E5M2"};
    case DType::kI8: return {1, "I8"};
    case DType::kI16: return {2, "I16"};
    case DType::kI32: return {4, "I32"};
    case DType::kI64: return {8, "I64"};
    case DType::kU8: return {1, "U8"};
    case DType::kBool: return {1, "BOOL"};
  }
  check_failed("dtype", __FILE__, __LINE__);
}

}  // namespace

size_t dtype_bytes(DType dtype) { return row(dtype).bytes; }
std::string_view dtype_name(DType dtype) { return row(dtype).name; }

}  // namespace citius
