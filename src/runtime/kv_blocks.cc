#include "runtime/kv_blocks.h"

#include <algorithm>

#include "base/check.h"
#include "base/error.h"

namespace citius {

KvBlocks::KvBlocks(int64_t num_blocks) : blocks_(static_cast<size_t>(num_blocks)) {
  for (int64_t block = num_blocks - 1; block >= 0; --block) free_.push_back(static_cast<int32_t>(block));
}

// FNV-1a over words; equal keys are compared in full, so that a collision costs time and nothing else.
size_t KvBlocks::Hash::operator()(const Key& key) const {
  uint64_t hash = 14695981039346656037u ^ static_cast<uint64_t>(key.parent);
  for (int32_t token : key.tokens) hash = (hash ^ static_cast<uint32_t>(token)) * 1099511628211u;
  return static_cast<size_t>(hash ^ (hash >> 32));
}

KvBlocks::Key KvBlocks::make_key(Content parent, std::span<const int32_t> tokens) {
  CHECK(tokens.size() == static_cast<size_t>(kKvBlock));
  Key key;
  key.parent = parent;
  std::copy(tokens.begin(), tokens.end(), key.tokens.begin());
  return key;
}

int32_t KvBlocks::take() {
  int32_t block = -1;
  if (!free_.empty()) {
    block = free_.back();
    free_.pop_back();
  } else if (!idle_.empty()) {
    block = idle_.front();
    idle_.pop_front();
    Block& state = blocks_[static_cast<size_t>(block)];
    index_.erase(index_.find(*state.published));
    state.published = nullptr;
  } else {
    fail(ErrorKind::kResource, "keys and values", "all {} blocks are in use; ask for fewer sequences or a shorter context", num_blocks());
  }
  blocks_[static_cast<size_t>(block)].references = 1;
  return block;
}

void KvBlocks::share(int32_t block) {
  CHECK(references(block) > 0);
  ++blocks_[static_cast<size_t>(block)].references;
}

void KvBlocks::release(int32_t block) {
  CHECK(references(block) > 0);
  Block& state = blocks_[static_cast<size_t>(block)];
  if (--state.references > 0) return;
  if (state.published != nullptr) {
    state.idle = idle_.insert(idle_.end(), block);
  } else {
    free_.push_back(block);
  }
}

KvBlocks::Content KvBlocks::publish(int32_t block, Content parent, std::span<const int32_t> tokens) {
  Block& state = blocks_[static_cast<size_t>(block)];
  CHECK(state.references > 0 && state.published == nullptr);
  const auto [place, is_new] = index_.try_emplace(make_key(parent, tokens), Published{block, next_content_});
  if (is_new) {
    state.published = &place->first;
    ++next_content_;
  }
  return place->second.content;
}

std::optional<KvBlocks::Found> KvBlocks::find(Content parent, std::span<const int32_t> tokens) {
  const auto place = index_.find(make_key(parent, tokens));
  if (place == index_.end()) return std::nullopt;
  Block& state = blocks_[static_cast<size_t>(place->second.block)];
  if (state.references++ == 0) idle_.erase(state.idle);
  return Found{place->second.block, place->second.content};
}

}  // namespace citius
