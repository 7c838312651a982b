// TensorView: shape, type and address of memory that somebody else owns. Dense but for the outermost stride, so that a
// view can be a column range of a wider matrix.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "base/check.h"
#include "tensor/dtype.h"

namespace citius {

class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    CHECK(dims.size() <= kMaxRank);
    for (int64_t dim : dims) {
      CHECK(dim >= 0);
      dims_[static_cast<size_t>(rank_++)] = dim;
    }
  }

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return dims_[static_cast<size_t>(axis < 0 ? axis + rank_ : axis)]; }
  int64_t num_elements() const {
    int64_t count = 1;
    for (int axis = 0; axis < rank_; ++axis) count *= (*this)[axis];
    return count;
  }
  /// Elements of one row of axis 0.
  int64_t row_elements() const {
    int64_t count = 1;
    for (int axis = 1; axis < rank_; ++axis) count *= (*this)[axis];
    return count;
  }
  bool operator==(const Shape& other) const = default;
  std::string str() const;  // "[2, 3]"

 private:
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

/// Never owns. `stride` is the distance in elements between neighbours along axis 0; inner axes are dense.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;
  int64_t stride = 0;

  TensorView() = default;
  TensorView(void* memory, DType type, Shape dims) : data(memory), dtype(type), shape(dims), stride(dims.row_elements()) {}

  explicit operator bool() const { return data != nullptr; }
  bool dense() const { return stride == shape.row_elements(); }
  int64_t rows() const { return shape[0]; }

  /// fp32 row `i` of axis 0.
  float* row(int64_t i) const {
    CHECK(dtype == DType::kF32);
    return static_cast<float*>(data) + i * stride;
  }

  /// Rows [begin, end) of axis 0.
  TensorView slice_rows(int64_t begin, int64_t end) const;
  /// Columns [begin, end) of a rank-2 view; keeps the stride.
  TensorView slice_columns(int64_t begin, int64_t end) const;
  /// The same memory under another shape, for dense views or where axis 0 is kept.
  TensorView reshape(Shape dims) const;
};

}  // namespace citius
