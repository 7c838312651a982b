#include "nn/kv_cache.h"

#include <cstdlib>
#include <cstring>

#include "base/error.h"
#include "base/memory.h"

namespace citius::nn {

KvCache::KvCache(int64_t num_layers, int64_t num_blocks, int64_t heads, int64_t head_dim, KvType type)
    : memory_(nullptr, [](std::byte* pointer) { std::free(pointer); }) {
  KvLayer layer{nullptr, type, num_blocks, heads, head_dim};
  const size_t layer_bytes = (layer.block_bytes() * static_cast<size_t>(num_blocks) + 63) / 64 * 64;
  require_memory(fmt::format("room for the keys and values of {} tokens", num_blocks * kKvBlock),
                 static_cast<double>(layer_bytes) * static_cast<double>(num_layers), "lower the context, the batch or the beams");
  bytes_ = layer_bytes * static_cast<size_t>(num_layers);
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(64, bytes_)));
  if (memory_ == nullptr) fail(ErrorKind::kResource, "keys and values", "cannot allocate {} bytes", bytes_);
  for (int64_t i = 0; i < num_layers; ++i) {
    layer.data = memory_.get() + static_cast<size_t>(i) * layer_bytes;
    layers_.push_back(layer);
  }
}

void KvCache::copy_block(int32_t from, int32_t to) {
  for (KvLayer& layer : layers_) {
    auto* data = static_cast<std::byte*>(layer.data);
    const size_t size = layer.block_bytes();
    std::memcpy(data + static_cast<size_t>(to) * size, data + static_cast<size_t>(from) * size, size);
  }
}

}  // namespace citius::nn
