// Lookup structures of the models: token strings to ids and back, pairs of ids to merges, and a trie of byte strings.
// All are built once and then only read.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace citius::tok {

/// Token strings and ids. Ids may leave gaps, whose string is empty and cannot be found.
class Vocabulary {
 public:
  /// Throws Error{kInput} where ids are negative, doubled with different strings, or leave absurd gaps. Of doubled
  /// strings the last id counts.
  static Vocabulary from_pairs(std::vector<std::pair<std::string, int64_t>> pairs, std::string_view where);
  /// Token i has id i.
  static Vocabulary from_list(std::vector<std::string> tokens, std::string_view where);

  std::optional<int32_t> find(std::string_view token) const;
  /// The same, quicker where the token is likely to have the id `near` or the one behind it.
  std::optional<int32_t> find_near(std::string_view token, int32_t near) const;
  const std::string& token(int32_t id) const { return tokens_[static_cast<size_t>(id)]; }
  size_t size() const { return tokens_.size(); }     // 1 + largest id
  size_t num_tokens() const { return num_tokens_; }  // without the gaps
  bool has_id(int64_t id) const { return id >= 0 && id < static_cast<int64_t>(size()) && present_[static_cast<size_t>(id)]; }

 private:
  void index(std::string_view where);
  std::vector<std::string> tokens_;
  std::vector<bool> present_;
  // Open addressing. A part of the hash beside the id spares most looks at the strings.
  struct Slot {
    uint32_t tag = 0;
    int32_t id = -1;  // -1: free
  };
  std::vector<Slot> slots_;
  size_t num_tokens_ = 0;
  bool all_differ_ = true;
};

struct Merge {
  uint32_t rank = 0;
  int32_t id = 0;
};

/// (left id, right id) → merge.
class MergeTable {
 public:
  explicit MergeTable(size_t expected = 0);
  void insert(int32_t left, int32_t right, Merge merge);  // the last of equal pairs counts
  const Merge* find(int32_t left, int32_t right) const {
    const uint64_t key = make_key(left, right);
    for (size_t slot = hash(key) & mask_;; slot = (slot + 1) & mask_) {
      if (keys_[slot] == key) return &merges_[slot];
      if (keys_[slot] == kFree) return nullptr;
    }
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};
  static uint64_t make_key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  static size_t hash(uint64_t key) {
    key *= 0x9E3779B97F4A7C15u;
    return static_cast<size_t>(key ^ key >> 29);
  }
  std::vector<uint64_t> keys_;
  std::vector<Merge> merges_;
  size_t mask_ = 0;
};

/// Byte strings with values, walked byte by byte.
class Trie {
 public:
  static constexpr int32_t kNone = -1;
  using Entry = std::pair<std::string_view, int32_t>;  // empty strings are left out; of equal strings the largest value counts

  Trie() : Trie(std::vector<Entry>{}) {}
  explicit Trie(std::vector<Entry> entries);

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
    uint8_t label = 0;
  };
  std::vector<Node> nodes_;
  std::array<uint32_t, 256> root_{};
};

}  // namespace citius::tok
