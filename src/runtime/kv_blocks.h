// Who owns which block of keys and values. Pure bookkeeping, no tensors: blocks are numbers with reference counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace citius {

class KvBlocks {
 public:
  explicit KvBlocks(int64_t num_blocks);

  int64_t num_free() const { return static_cast<int64_t>(free_.size()); }
  int64_t num_blocks() const { return static_cast<int64_t>(references_.size()); }

  /// A block with one reference. Throws Error{kResource} where none is free.
  int32_t take();
  /// One more owner of a block in use.
  void share(int32_t block);
  /// One owner less; the last one frees the block.
  void release(int32_t block);
  int32_t references(int32_t block) const { return references_[static_cast<size_t>(block)]; }

 private:
  std::vector<int32_t> references_;
  std::vector<int32_t> free_;  // used as a stack
};

}  // namespace citius
