// PackedWeight: an immutable weight matrix in the layout its backend wants. The backend that packed it is the only one that
// can multiply by it; everybody can ask what it is and decode it exactly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "quant/format.h"

namespace citius {

/// `kExact`: weights as given, fp32 activations. `kFast`: the activation format that the weight format names.
enum class Compute : uint8_t { kFast, kExact };
constexpr const char* compute_name(Compute compute) { return compute == Compute::kExact ? "exact" : "fast"; }

/// What a weight is, packed of however many parts.
struct MatrixSize {
  Format format;
  int64_t rows, cols;
};

class PackedWeight {
 public:
  virtual ~PackedWeight() = default;

  Format format() const { return format_; }
  int64_t rows() const { return rows_; }  // outputs N
  int64_t cols() const { return cols_; }  // inputs K
  /// Resident bytes.
  virtual size_t bytes() const = 0;
  /// What Backend::adopt() of the same packing makes the weight of again. Empty where the backend keeps nothing.
  virtual std::span<const std::byte> packed() const { return {}; }
  /// Decodes row `row` to fp32 [cols], bit-identical to decode_row of the encoded weight, but that denormals are zero where they are
  /// flushed (in loops of a ThreadPool). Thread-safe.
  virtual void decode(int64_t row, float* out) const = 0;

 protected:
  PackedWeight(Format format, int64_t rows, int64_t cols) : format_(format), rows_(rows), cols_(cols) {}

 private:
  Format format_;
  int64_t rows_, cols_;
};

}  // namespace citius
