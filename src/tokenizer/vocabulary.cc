#include "tokenizer/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "tokenizer/text.h"

namespace citius::tok {
namespace {

constexpr size_t kMaxTokens = size_t{1} << 26;

// Ours and not the standard library's: tables are kept in files, which a newer library may read.
size_t hash_of(std::string_view text) {
  constexpr uint64_t kFactor = 0x9E3779B97F4A7C15u;
  uint64_t hash = text.size() * kFactor;
  for (size_t at = 0; at < text.size(); at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, std::min(sizeof(word), text.size() - at));
    hash = (hash ^ word) * kFactor;
    hash ^= hash >> 32;
  }
  return hash * kFactor;
}
uint32_t tag_of(size_t hash) { return static_cast<uint32_t>(hash >> 32); }
size_t home_of(size_t hash) { return hash ^ hash >> 32; }

void require(bool good, std::string_view table, std::string_view where) {
  if (!good) fail_input(where, "table '{}' is damaged", table);
}

}  // namespace

Vocabulary Vocabulary::from_pairs(const std::vector<std::pair<std::string_view, int64_t>>& pairs, std::string_view where) {
  int64_t largest = -1;
  for (const auto& [token, id] : pairs) {
    if (id < 0) fail_input(where, "token '{}' has id {}, expected 0 or more", token, id);
    largest = std::max(largest, id);
  }
  // Real vocabularies leave small gaps at most; a huge one would only serve to eat memory.
  const int64_t limit = 4 * static_cast<int64_t>(pairs.size()) + 100'000;
  if (largest >= limit) fail_input(where, "largest id is {} for {} tokens, expected less than {}", largest, pairs.size(), limit);
  const auto size = static_cast<size_t>(largest + 1);
  std::vector<std::string_view> tokens(size);
  std::vector<bool> present(size);
  for (const auto& [token, id] : pairs) {
    const auto at = static_cast<size_t>(id);
    if (present[at] && tokens[at] != token) fail_input(where, "tokens '{}' and '{}' have the same id {}", tokens[at], token, id);
    present[at] = true;
    tokens[at] = token;
  }
  std::vector<int32_t> gaps;
  for (size_t id = 0; id < size; ++id) {
    if (!present[id]) gaps.push_back(static_cast<int32_t>(id));
  }
  return {tokens, std::move(gaps), where};
}

Vocabulary Vocabulary::from_list(const std::vector<std::string_view>& tokens, std::string_view where) { return {tokens, {}, where}; }

Vocabulary::Vocabulary(const std::vector<std::string_view>& tokens, std::vector<int32_t> gaps, std::string_view where)
    : gaps_(std::move(gaps)) {
  size_t bytes = 0;
  for (const std::string_view token : tokens) bytes += token.size();
  if (tokens.size() > kMaxTokens || bytes > UINT32_MAX) {
    fail_input(where, "got {} tokens of {} bytes, expected at most {} of {}", tokens.size(), bytes, kMaxTokens, UINT32_MAX);
  }
  std::vector<char> text;
  std::vector<uint32_t> begins{0};
  text.reserve(bytes);
  begins.reserve(tokens.size() + 1);
  for (const std::string_view token : tokens) {
    text.insert(text.end(), token.begin(), token.end());
    begins.push_back(static_cast<uint32_t>(text.size()));
  }
  std::vector<Slot> slots(std::bit_ceil(tokens.size() * 2 + 2));
  const size_t mask = slots.size() - 1;
  auto gap = gaps_.begin();
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (gap != gaps_.end() && *gap == static_cast<int32_t>(id)) {
      ++gap;
      continue;
    }
    const size_t hash = hash_of(tokens[id]);
    const auto same = [&](const Slot& other) { return other.tag == tag_of(hash) && tokens[static_cast<size_t>(other.id)] == tokens[id]; };
    size_t slot = home_of(hash) & mask;
    while (slots[slot].id >= 0 && !same(slots[slot])) slot = (slot + 1) & mask;
    slots[slot] = {tag_of(hash), static_cast<int32_t>(id)};
  }
  text_ = Table(std::move(text));
  begins_ = Table(std::move(begins));
  slots_ = Table(std::move(slots));
}

Vocabulary::Vocabulary(const Tables& tables, std::string_view where)
    : text_(tables.get<char>("tokens", where)),
      begins_(tables.get<uint32_t>("token_begins", where)),
      gaps_(tables.get<int32_t>("token_gaps", where)),
      slots_(tables.get<Slot>("token_slots", where)) {
  const std::string_view text(text_.data(), text_.size());
  const auto starts_character = [&](uint32_t begin) { return begin == text.size() || (text[begin] & 0xC0) != 0x80; };
  require(is_valid_utf8(text), "tokens", where);
  require(!begins_.empty() && begins_.size() <= kMaxTokens + 1 && begins_.front() == 0 && begins_.back() == text.size() &&
              std::is_sorted(begins_.begin(), begins_.end()) && std::all_of(begins_.begin(), begins_.end(), starts_character),
          "token_begins", where);
  const auto num_ids = static_cast<int32_t>(size());
  require(std::is_sorted(gaps_.begin(), gaps_.end()), "token_gaps", where);
  require(std::has_single_bit(slots_.size()) && std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.id < 0; }) &&
              std::all_of(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.id < num_ids; }),
          "token_slots", where);
}

void Vocabulary::add_to(Tables& tables) const {
  tables.add("tokens", text_);
  tables.add("token_begins", begins_);
  tables.add("token_gaps", gaps_);
  tables.add("token_slots", slots_);
}

std::optional<int32_t> Vocabulary::find(std::string_view text) const {
  const size_t mask = slots_.size() - 1;
  const size_t hash = hash_of(text);
  for (size_t at = home_of(hash) & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id < 0) return std::nullopt;
    if (slot.tag == tag_of(hash) && token(slot.id) == text) return slot.id;
  }
}

MergeTable::MergeTable(const std::vector<Entry>& entries) {
  std::vector<Slot> slots(std::bit_ceil(entries.size() + entries.size() / 2 + 2));
  mask_ = slots.size() - 1;
  for (const Entry& entry : entries) {
    const uint64_t key = make_key(entry.left, entry.right);
    size_t slot = hash(key) & mask_;
    while (slots[slot].key != kFree && slots[slot].key != key) slot = (slot + 1) & mask_;
    slots[slot] = {key, entry.merge};
  }
  slots_ = Table(std::move(slots));
}

MergeTable::MergeTable(const Tables& tables, size_t num_ids, std::string_view where)
    : slots_(tables.get<Slot>("merges", where)), mask_(slots_.size() - 1) {
  const auto good = [&](const Slot& slot) { return slot.merge.id >= 0 && static_cast<size_t>(slot.merge.id) < num_ids; };
  require(std::has_single_bit(slots_.size()) &&
              std::any_of(slots_.begin(), slots_.end(), [](const Slot& slot) { return slot.key == kFree; }) &&
              std::all_of(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.key == kFree || good(slot); }),
          "merges", where);
}

void MergeTable::add_to(Tables& tables) const { tables.add("merges", slots_); }

Trie::Trie(std::vector<Entry> entries) {
  std::sort(entries.begin(), entries.end());
  struct Range {
    size_t begin, end, depth;
  };
  // Breadth first, so that the children of a node lie side by side. ranges[i]: the entries below node i.
  std::vector<Range> ranges{{0, entries.size(), 0}};
  std::vector<Node> nodes(1);
  for (size_t node = 0; node < nodes.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    for (; begin < end && entries[begin].first.size() == depth; ++begin) {
      if (depth > 0) nodes[node].value = entries[begin].second;
    }
    nodes[node].first_child = static_cast<uint32_t>(nodes.size());
    while (begin < end) {
      const char label = entries[begin].first[depth];
      size_t next = begin;
      while (next < end && entries[next].first[depth] == label) ++next;
      ranges.push_back({begin, next, depth + 1});
      nodes.push_back({0, kNone, 0, static_cast<uint8_t>(label)});
      ++nodes[node].num_children;
      begin = next;
    }
  }
  nodes_ = Table(std::move(nodes));
  fill_root();
}

Trie::Trie(const Tables& tables, size_t num_values, std::string_view where) : nodes_(tables.get<Node>("trie", where)) {
  const auto good = [&](const Node& node) {
    return node.first_child <= nodes_.size() && node.num_children <= nodes_.size() - node.first_child && node.value >= kNone &&
           node.value < static_cast<int64_t>(num_values);
  };
  require(!nodes_.empty() && std::all_of(nodes_.begin(), nodes_.end(), good), "trie", where);
  fill_root();
}

void Trie::add_to(Tables& tables) const { tables.add("trie", nodes_); }

void Trie::fill_root() {
  const Node& root = nodes_[kRoot];
  for (uint32_t child = root.first_child; child < root.first_child + root.num_children; ++child) {
    root_[static_cast<uint8_t>(nodes_[child].label)] = child;
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
