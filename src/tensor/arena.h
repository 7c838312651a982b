// A stack of aligned activations. Memory is taken in scopes and given back when the scope ends; blocks are kept, so the
// steady state allocates nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "tensor/tensor_view.h"

namespace citius {

class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// One block for all that will be in use at once; nothing where there is one already. Its pages are taken as they are written.
  void reserve(size_t bytes);

  /// Uninitialised memory, aligned to 64 bytes, valid until the enclosing Scope ends.
  void* alloc_bytes(size_t bytes);
  TensorView alloc(Shape shape, DType dtype = DType::kF32);
  template <typename T>
  T* alloc_array(int64_t count) {
    return static_cast<T*>(alloc_bytes(static_cast<size_t>(count) * sizeof(T)));
  }

  /// Largest number of bytes that were in use at once.
  size_t peak_bytes() const { return peak_; }

  /// Gives back, when it ends, all that was allocated since it began. Scopes nest.
  class Scope {
   public:
    explicit Scope(Arena& arena) : arena_(arena), block_(arena.block_), offset_(arena.offset_), used_(arena.used_) {}
    ~Scope() {
      arena_.block_ = block_;
      arena_.offset_ = offset_;
      arena_.used_ = used_;
    }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Arena& arena_;
    size_t block_, offset_, used_;
  };

 private:
  struct Block {
    std::unique_ptr<std::byte[], void (*)(std::byte*)> memory;
    size_t bytes;
  };
  void add_block(size_t bytes);
  std::vector<Block> blocks_;
  size_t block_ = 0;   // block in use
  size_t offset_ = 0;  // first free byte in it
  size_t used_ = 0;
  size_t peak_ = 0;
};

}  // namespace citius
