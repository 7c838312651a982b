// The JSON header of a safetensors file, parsed without a document tree: its structure is fixed, duplicated keys are errors
// (a tree would silently keep one), and memory is bounded by the number of tensors.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/tensor_view.h"

namespace citius {

struct SafetensorsRecord {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t begin = 0, end = 0;  // bytes from the start of the data section
};

struct SafetensorsHeader {
  std::vector<SafetensorsRecord> entries;  // in the order of their data
  std::map<std::string, std::string, std::less<>> metadata;
};

/// Parses and validates: types, shapes, sizes, and that the tensors fill [0, data_bytes) without hole or overlap. Throws
/// Error{kInput} naming `where`.
SafetensorsHeader parse_safetensors_header(std::string_view text, uint64_t data_bytes, const std::string& where);

}  // namespace citius
