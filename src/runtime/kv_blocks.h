// Who owns which block of keys and values. Pure bookkeeping, no tensors: blocks are numbers with reference counts. A
// full block whose content is published stays findable after its last owner released it, until its memory is needed
// (least recently used first): prompts that begin alike share what they have in common.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "backend/contract/attention.h"

namespace citius {

class KvBlocks {
 public:
  /// Names what a published block holds: its tokens and, through its parent, all tokens before them. Never used twice.
  using Content = int64_t;
  /// What stands before the first block of a sequence. Sequences that must not share (another adapter) begin elsewhere.
  static constexpr Content kRoot = 0;

  explicit KvBlocks(int64_t num_blocks);

  /// Blocks that take() can give: unused ones, and published ones without an owner.
  int64_t num_free() const { return static_cast<int64_t>(free_.size() + idle_.size()); }
  int64_t num_blocks() const { return static_cast<int64_t>(blocks_.size()); }

  /// A block with one reference. Throws Error{kResource} where none is free.
  int32_t take();
  /// One more owner of a block in use.
  void share(int32_t block);
  /// One owner less. Owners release the blocks of a sequence from the last to the first: what is reused most goes last.
  void release(int32_t block);
  int32_t references(int32_t block) const { return blocks_[static_cast<size_t>(block)].references; }

  /// Tells that `block`, in use, now holds kKvBlock `tokens` that follow `parent`. The content's name: that of another
  /// block where one holds the same already (then `block` is not published).
  Content publish(int32_t block, Content parent, std::span<const int32_t> tokens);
  struct Found {
    int32_t block;  // with one more reference
    Content content;
  };
  /// A block that holds `tokens` after `parent`.
  std::optional<Found> find(Content parent, std::span<const int32_t> tokens);

 private:
  struct Key {
    Content parent;
    std::array<int32_t, kKvBlock> tokens;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const;
  };
  struct Published {
    int32_t block;
    Content content;
  };
  using Index = std::unordered_map<Key, Published, Hash>;
  struct Block {
    int32_t references = 0;
    const Key* published = nullptr;     // in index_
    std::list<int32_t>::iterator idle;  // where it stands in idle_ while it has no owner but is published
  };
  static Key make_key(Content parent, std::span<const int32_t> tokens);

  std::vector<Block> blocks_;
  std::vector<int32_t> free_;  // used as a stack
  std::list<int32_t> idle_;    // least recently used first
  Index index_;
  Content next_content_ = kRoot + 1;
};

}  // namespace citius
