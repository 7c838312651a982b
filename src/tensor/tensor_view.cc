#include "tensor/tensor_view.h"

#include <fmt/format.h>

namespace citius {

std::string Shape::str() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) text += fmt::format("{}{}", axis == 0 ? "" : ", ", (*this)[axis]);
  return text + "]";
}

TensorView TensorView::slice_rows(int64_t begin, int64_t end) const {
  CHECK(0 <= begin && begin <= end && end <= shape[0]);
  TensorView view = *this;
  view.data = static_cast<char*>(data) + begin * stride * static_cast<int64_t>(dtype_bytes(dtype));
  switch (shape.rank()) {
    case 1: view.shape = {end - begin}; break;
    case 2: view.shape = {end - begin, shape[1]}; break;
    case 3: view.shape = {end - begin, shape[1], shape[2]}; break;
    default: view.shape = {end - begin, shape[1], shape[2], shape[3]}; break;
  }
  return view;
}

TensorView TensorView::slice_columns(int64_t begin, int64_t end) const {
  CHECK(shape.rank() == 2 && 0 <= begin && begin <= end && end <= shape[1]);
  TensorView view = *this;
  view.data = static_cast<char*>(data) + begin * static_cast<int64_t>(dtype_bytes(dtype));
  view.shape = {shape[0], end - begin};
  return view;
}

TensorView TensorView::reshape(Shape dims) const {
  CHECK(dims.num_elements() == shape.num_elements());
  CHECK(dense() || dims[0] == shape[0]);
  TensorView view(data, dtype, dims);
  if (dims[0] == shape[0]) view.stride = stride;
  return view;
}

}  // namespace citius
