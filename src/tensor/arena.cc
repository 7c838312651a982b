#include "tensor/arena.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace citius {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kMinBlockBytes = size_t{4} << 20;

}  // namespace

void Arena::add_block(size_t bytes) {
  auto* memory = static_cast<std::byte*>(std::aligned_alloc(kAlignment, bytes));
  if (memory == nullptr) fail(ErrorKind::kResource, "activations", "cannot allocate {} bytes", bytes);
  blocks_.push_back({{memory, [](std::byte* pointer) { std::free(pointer); }}, bytes});
}

void Arena::reserve(size_t bytes) {
  if (blocks_.empty() && bytes > 0) add_block((bytes + kAlignment - 1) / kAlignment * kAlignment);
}

void* Arena::alloc_bytes(size_t bytes) {
  bytes = (std::max<size_t>(bytes, 1) + kAlignment - 1) / kAlignment * kAlignment;
  while (block_ < blocks_.size() && offset_ + bytes > blocks_[block_].bytes) {
    ++block_;
    offset_ = 0;
  }
  if (block_ == blocks_.size()) {
    add_block(std::max(bytes, kMinBlockBytes));
    offset_ = 0;
  }
  void* result = blocks_[block_].memory.get() + offset_;
  offset_ += bytes;
  used_ += bytes;
  peak_ = std::max(peak_, used_);
  return result;
}

TensorView Arena::alloc(Shape shape, DType dtype) {
  return {alloc_bytes(static_cast<size_t>(shape.num_elements()) * dtype_bytes(dtype)), dtype, shape};
}

}  // namespace citius
