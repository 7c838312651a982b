#include "runtime/kv_blocks.h"

#include "base/check.h"
#include "base/error.h"

namespace citius {

KvBlocks::KvBlocks(int64_t num_blocks) : references_(static_cast<size_t>(num_blocks), 0) {
  for (int64_t block = num_blocks - 1; block >= 0; --block) free_.push_back(static_cast<int32_t>(block));
}

int32_t KvBlocks::take() {
  if (free_.empty()) {
    fail(ErrorKind::kResource, "keys and values", "all {} blocks are in use; ask for fewer sequences or a shorter context",
         num_blocks());
  }
  const int32_t block = free_.back();
  free_.pop_back();
  references_[static_cast<size_t>(block)] = 1;
  return block;
}

void KvBlocks::share(int32_t block) {
  CHECK(references(block) > 0);
  ++references_[static_cast<size_t>(block)];
}

void KvBlocks::release(int32_t block) {
  CHECK(references(block) > 0);
  if (--references_[static_cast<size_t>(block)] == 0) free_.push_back(block);
}

}  // namespace citius
