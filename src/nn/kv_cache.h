// Memory for keys and values of all layers, in blocks that sequences share out. Which block belongs to whom is the
// runtime's bookkeeping.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "backend/contract/attention.h"

namespace citius::nn {

class KvCache {
 public:
  /// Encoders need keys and values only within a layer: for them `num_layers` is 1 and every layer uses the same blocks.
  /// Throws Error{kResource} where the memory is not to be had.
  KvCache(int64_t num_layers, int64_t num_blocks, int64_t heads, int64_t head_dim, KvType type);

  KvLayer& layer(int64_t index) { return layers_[static_cast<size_t>(index) % layers_.size()]; }
  /// Copies one block of keys and values in every layer.
  void copy_block(int32_t from, int32_t to);
  int64_t num_blocks() const { return layers_.front().num_blocks; }
  size_t bytes() const { return bytes_; }

 private:
  std::unique_ptr<std::byte, void (*)(std::byte*)> memory_;
  size_t bytes_ = 0;
  std::vector<KvLayer> layers_;
};

}  // namespace citius::nn
