// How a weight in one of our formats is stored in safetensors: one logical tensor [rows, cols] becomes several stored ones
// ("parts"), and back without loss.
//   int8          P [N, K] I8            P_scale [N, 1] F32
//   int8-gN       P [N, K] I8            P_scale [N, K/g] F16
//   int4-gN       P_packed [N, K/8] I32  P_scale [N, K/g] F16   P_shape [2] I64
//   int4z-gN      the same, and P_zero_point [ceil(N/8), K/g] I32
//   GGUF formats  P [N, bytes of a row] U8
// Packed words hold eight 4-bit numbers, the first in the lowest bits, as compressed-tensors has them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "quant/format.h"

namespace citius {

struct PackagePart {
  std::string name;
  DType dtype = DType::kU8;
  std::vector<int64_t> shape;
};

/// The parts of a weight, in the order in which they are written. Plain float formats have none.
std::vector<PackagePart> package_parts(const std::string& name, Format format, int64_t rows, int64_t cols);

/// The bytes of each part.
std::vector<std::vector<std::byte>> split_matrix(const EncodedMatrix& matrix, const std::vector<PackagePart>& parts);

/// Puts parts together again. `parts` have been checked against package_parts(). Throws Error{kInput} naming `where` for
/// contents that no writer makes (scales that are not finite, codes out of range).
OwnedMatrix join_matrix(Format format, int64_t rows, int64_t cols, const std::vector<const SafetensorsEntry*>& parts,
                        std::shared_ptr<const void> owner, const std::string& where);

/// Group size of our group formats; 0 for the rest.
int64_t group_size(Format format);
bool is_int8_group(Format format);
bool is_int4_group(Format format);       // symmetric
bool is_int4_zero_group(Format format);  // with zero points

}  // namespace citius
