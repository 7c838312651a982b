#include "tensor/finite.h"

#include <bit>

#include "base/error.h"

namespace citius {

void require_finite(const TensorView& values, std::string_view where, std::string_view what) {
  constexpr uint32_t kExponent = 0x7f800000;  // all ones in what is no finite number
  for (int64_t i = 0; i < values.rows(); ++i) {
    const float* row = values.row(i);
    // No branch in the loop: it takes microseconds for a vocabulary, where a step takes milliseconds.
    uint32_t bad = 0;
    for (int64_t j = 0; j < values.shape[1]; ++j) bad |= (std::bit_cast<uint32_t>(row[j]) & kExponent) == kExponent ? 1U : 0U;
    if (bad != 0) fail(ErrorKind::kFailed, where, "{} are not finite numbers; weights that are none, or too large, do this", what);
  }
}

}  // namespace citius
