#include "tokenizer/vocabulary.h"

#include <algorithm>
#include <bit>
#include <functional>

#include "base/error.h"

namespace citius::tok {
namespace {

size_t hash_of(std::string_view text) { return std::hash<std::string_view>{}(text); }
uint32_t tag_of(size_t hash) { return static_cast<uint32_t>(hash >> 32); }

}  // namespace

Vocabulary Vocabulary::from_pairs(std::vector<std::pair<std::string, int64_t>> pairs, std::string_view where) {
  int64_t largest = -1;
  for (const auto& [token, id] : pairs) {
    if (id < 0) fail_input(where, "token '{}' has id {}, expected 0 or more", token, id);
    largest = std::max(largest, id);
  }
  // Real vocabularies leave small gaps at most; a huge one would only serve to eat memory.
  const int64_t limit = 4 * static_cast<int64_t>(pairs.size()) + 100'000;
  if (largest >= limit) fail_input(where, "largest id is {} for {} tokens, expected less than {}", largest, pairs.size(), limit);
  Vocabulary vocabulary;
  vocabulary.tokens_.resize(static_cast<size_t>(largest + 1));
  vocabulary.present_.resize(static_cast<size_t>(largest + 1));
  for (auto& [token, id] : pairs) {
    const auto at = static_cast<size_t>(id);
    if (vocabulary.present_[at] && vocabulary.tokens_[at] != token) {
      fail_input(where, "tokens '{}' and '{}' have the same id {}", vocabulary.tokens_[at], token, id);
    }
    vocabulary.present_[at] = true;
    vocabulary.tokens_[at] = std::move(token);
  }
  vocabulary.index(where);
  return vocabulary;
}

Vocabulary Vocabulary::from_list(std::vector<std::string> tokens, std::string_view where) {
  Vocabulary vocabulary;
  vocabulary.present_.assign(tokens.size(), true);
  vocabulary.tokens_ = std::move(tokens);
  vocabulary.index(where);
  return vocabulary;
}

void Vocabulary::index(std::string_view where) {
  if (tokens_.size() > size_t{1} << 26) fail_input(where, "got {} tokens, expected at most {}", tokens_.size(), 1 << 26);
  slots_.assign(std::bit_ceil(tokens_.size() * 2 + 2), Slot{});
  const size_t mask = slots_.size() - 1;
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (!present_[id]) continue;
    ++num_tokens_;
    const size_t hash = hash_of(tokens_[id]);
    const auto same = [&](const Slot& other) { return other.tag == tag_of(hash) && tokens_[static_cast<size_t>(other.id)] == tokens_[id]; };
    size_t slot = hash & mask;
    while (slots_[slot].id >= 0 && !same(slots_[slot])) slot = (slot + 1) & mask;
    if (slots_[slot].id >= 0) all_differ_ = false;
    slots_[slot] = {tag_of(hash), static_cast<int32_t>(id)};
  }
}

std::optional<int32_t> Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return std::nullopt;
  const size_t mask = slots_.size() - 1;
  const size_t hash = hash_of(token);
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id < 0) return std::nullopt;
    if (slot.tag == tag_of(hash) && tokens_[static_cast<size_t>(slot.id)] == token) return slot.id;
  }
}

std::optional<int32_t> Vocabulary::find_near(std::string_view token, int32_t near) const {
  for (int32_t id = near; all_differ_ && id <= near + 1; ++id) {
    if (has_id(id) && tokens_[static_cast<size_t>(id)] == token) return id;
  }
  return find(token);
}

MergeTable::MergeTable(size_t expected) : keys_(std::bit_ceil(expected * 2 + 2), kFree), merges_(keys_.size()), mask_(keys_.size() - 1) {}

void MergeTable::insert(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = make_key(left, right);
  size_t slot = hash(key) & mask_;
  while (keys_[slot] != kFree && keys_[slot] != key) slot = (slot + 1) & mask_;
  keys_[slot] = key;
  merges_[slot] = merge;
}

Trie::Trie(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end());
  struct Range {
    size_t begin, end, depth;
  };
  // Breadth first, so that the children of a node lie side by side. ranges[i]: the entries below node i.
  std::vector<Range> ranges{{0, entries.size(), 0}};
  nodes_.emplace_back();
  for (size_t node = 0; node < nodes_.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    for (; begin < end && entries[begin].first.size() == depth; ++begin) {
      if (depth > 0) nodes_[node].value = entries[begin].second;
    }
    nodes_[node].first_child = static_cast<uint32_t>(nodes_.size());
    while (begin < end) {
      const char label = entries[begin].first[depth];
      size_t next = begin;
      while (next < end && entries[next].first[depth] == label) ++next;
      ranges.push_back({begin, next, depth + 1});
      nodes_.push_back({0, kNone, 0, static_cast<uint8_t>(label)});
      ++nodes_[node].num_children;
      begin = next;
    }
  }
  const Node root = nodes_[kRoot];
  for (uint32_t child = root.first_child; child < root.first_child + root.num_children; ++child) {
    root_[nodes_[child].label] = child;
  }
}

uint32_t Trie::walk(uint32_t node, std::string_view bytes) const {
  for (const char byte : bytes) {
    node = step(node, byte);
    if (node == kRoot) return kRoot;
  }
  return node;
}

std::pair<int32_t, size_t> Trie::longest(uint32_t node, std::string_view text) const {
  std::pair<int32_t, size_t> best{kNone, 0};
  for (size_t i = 0; i < text.size(); ++i) {
    node = step(node, text[i]);
    if (node == kRoot) break;
    if (nodes_[node].value != kNone) best = {nodes_[node].value, i + 1};
  }
  return best;
}

}  // namespace citius::tok
