// Lookup structures of the models: token strings to ids and back, pairs of ids to merges, and a trie of byte strings.
// All are built once and then only read. They lie in tables: add_to() gives these away, and the constructor that takes them checks
// all that a lookup relies on, for a file of tables may hold anything.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/tables.h"

namespace citius::tok {

/// Token strings and ids. Ids may leave gaps, whose string is empty and cannot be found.
class Vocabulary {
 public:
  /// Throws Error{kInput} where ids are negative, doubled with different strings, or leave absurd gaps. Of doubled
  /// strings the last id counts.
  static Vocabulary from_pairs(const std::vector<std::pair<std::string_view, int64_t>>& pairs, std::string_view where);
  /// Token i has id i.
  static Vocabulary from_list(const std::vector<std::string_view>& tokens, std::string_view where);

  Vocabulary(const Tables& tables, std::string_view where);
  void add_to(Tables& tables) const;

  std::optional<int32_t> find(std::string_view token) const;
  std::string_view token(int32_t id) const {
    const auto at = static_cast<size_t>(id);
    return {text_.data() + begins_[at], begins_[at + 1] - begins_[at]};
  }
  size_t size() const { return begins_.size() - 1; }  // 1 + largest id
  bool has_id(int64_t id) const {
    return id >= 0 && id < static_cast<int64_t>(size()) && !std::binary_search(gaps_.begin(), gaps_.end(), static_cast<int32_t>(id));
  }

 private:
  Vocabulary(const std::vector<std::string_view>& tokens, std::vector<int32_t> gaps, std::string_view where);

  // Open addressing. A part of the hash beside the id spares most looks at the strings.
  struct Slot {
    uint32_t tag = 0;
    int32_t id = -1;  // -1: free
  };
  Table<char> text_;        // all strings one after the other
  Table<uint32_t> begins_;  // of each in the text, and the end of the last
  Table<int32_t> gaps_;     // ascending
  Table<Slot> slots_;
};

struct Merge {
  uint32_t rank = 0;
  int32_t id = 0;
};

/// (left id, right id) → merge.
class MergeTable {
 public:
  struct Entry {
    int32_t left = 0, right = 0;
    Merge merge;
  };
  /// The last of equal pairs counts.
  explicit MergeTable(const std::vector<Entry>& entries);

  /// `num_ids`: what the ids that merges make are below.
  MergeTable(const Tables& tables, size_t num_ids, std::string_view where);
  void add_to(Tables& tables) const;

  const Merge* find(int32_t left, int32_t right) const {
    const uint64_t key = make_key(left, right);
    for (size_t slot = hash(key) & mask_;; slot = (slot + 1) & mask_) {
      if (slots_[slot].key == key) return &slots_[slot].merge;
      if (slots_[slot].key == kFree) return nullptr;
    }
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};
  struct Slot {
    uint64_t key = kFree;
    Merge merge;
  };
  static uint64_t make_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  static size_t hash(uint64_t key) {
    key *= 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(key ^ key >> 29);
  }
  Table<Slot> slots_;
  size_t mask_ = 0;
};

/// Byte strings with values, walked byte by byte.
class Trie {
 public:
  static constexpr int32_t kNone = -1;
  using Entry = std::pair<std::string_view, int32_t>;  // empty strings are left out; of equal strings the largest value counts

  Trie() : Trie(std::vector<Entry>{}) {}
  explicit Trie(std::vector<Entry> entries);

  /// `num_values`: what the values are below.
  Trie(const Tables& tables, size_t num_values, std::string_view where);
  void add_to(Tables& tables) const;

  static constexpr uint32_t kRoot = 0;
  /// The node reached from `node` by `byte`; kRoot where there is none.
  uint32_t step(uint32_t node, char byte) const {
    if (node == kRoot) return root_[static_cast<unsigned char>(byte)];
    const Node& from = nodes_[node];
    const auto label = static_cast<uint8_t>(byte);
    for (uint32_t child = from.first_child; child < from.first_child + from.num_children; ++child) {
      if (nodes_[child].label == label) return child;
    }
    return kRoot;
  }
  uint32_t walk(uint32_t node, std::string_view bytes) const;
  int32_t value(uint32_t node) const { return nodes_[node].value; }
  /// Value and length of the longest entry that `text` starts with, walking on from `node`.
  std::pair<int32_t, size_t> longest(uint32_t node, std::string_view text) const;

 private:
  struct Node {
    uint32_t first_child = 0;
    int32_t value = kNone;
    uint16_t num_children = 0;
    uint16_t label = 0;  // a byte
  };
  void fill_root();
  Table<Node> nodes_;
  std::array<uint32_t, 256> root_{};
};

}  // namespace citius::tok
