#include "base/numa.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <fstream>
#include <iterator>

namespace citius {
namespace {

namespace fs = std::filesystem;

// Linux knows at most 1024 nodes and 8192 processors.
constexpr int kMaxNodes = 1024;
constexpr int kMaxNumber = 8191;
constexpr int kWordBits = sizeof(unsigned long) * CHAR_BIT;
using NodeMask = std::array<unsigned long, kMaxNodes / kWordBits>;
// The system calls take one bit more than the mask has.
constexpr unsigned long kMaskSize = kMaxNodes + 1;

std::vector<int> list_in(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return parse_kernel_list(line);
}

// The list after `key` in a file of "key list" lines; none where there is no such line.
std::vector<int> list_after(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return parse_kernel_list(std::string_view(line).substr(key.size()));
  }
  return {};
}

std::vector<int> common(const std::vector<int>& a, const std::vector<int>& b) {
  std::vector<int> both;
  std::ranges::set_intersection(a, b, std::back_inserter(both));
  return both;
}

// By the system calls themselves: libnuma would be one more library, and hwloc reads the whole topology first, which
// takes longer than all the rest of an empty start.
bool get_policy(int& mode, NodeMask& mask) { return ::syscall(SYS_get_mempolicy, &mode, mask.data(), kMaskSize, nullptr, 0UL) == 0; }

std::string policy_name(int mode) {
  constexpr std::array<const char*, 7> kNames = {"default",        "preferred",          "bind", "interleave", "local",
                                                 "preferred-many", "weighted-interleave"};
  mode &= 0xff;  // above are flags
  return static_cast<size_t>(mode) < kNames.size() ? kNames[static_cast<size_t>(mode)] : "unknown";
}

}  // namespace

std::vector<int> parse_kernel_list(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  text = text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
  std::vector<int> numbers;
  const char *at = text.data(), *const end = at + text.size();
  const auto read = [&](int& number) {
    const auto [next, error] = std::from_chars(at, end, number);
    at = next;
    return error == std::errc() && number >= 0 && number <= kMaxNumber;
  };
  for (;;) {
    int begin = 0;
    if (!read(begin)) return {};
    int last = begin;
    if (at != end && *at == '-' && (++at, !read(last))) return {};
    if (last < begin || (!numbers.empty() && begin <= numbers.back())) return {};
    for (int number = begin; number <= last; ++number) numbers.push_back(number);
    if (at == end) return numbers;
    if (*at++ != ',') return {};
  }
}

std::vector<int> nodes_to_spread(const fs::path& nodes, const fs::path& status) {
  const std::vector<int> with_processors = list_in(nodes / "has_cpu");
  if (with_processors.size() < 2) return {};
  const std::vector<int> processors = list_after(status, "Cpus_allowed_list:");
  std::vector<int> found;
  for (const int node : common(with_processors, list_after(status, "Mems_allowed_list:"))) {
    const std::vector<int> of_node = list_in(nodes / ("node" + std::to_string(node)) / "cpulist");
    if (node < kMaxNodes && !common(of_node, processors).empty()) found.push_back(node);
  }
  return found.size() < 2 ? std::vector<int>{} : found;
}

void spread_memory() {
  const std::vector<int> nodes = nodes_to_spread();
  int mode = MPOL_DEFAULT;
  NodeMask mask{};
  if (nodes.empty() || !get_policy(mode, mask) || mode != MPOL_DEFAULT) return;
  mask = {};
  for (const int node : nodes) mask[static_cast<size_t>(node / kWordBits)] |= 1UL << (node % kWordBits);
  // Containers may refuse it (seccomp): then memory stays where it is touched first, and `citius doctor` says so.
  ::syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, mask.data(), kMaskSize);
}

MemoryPolicy memory_policy() {
  int mode = MPOL_DEFAULT;
  NodeMask mask{};
  if (!get_policy(mode, mask)) return {"unknown", {}};
  MemoryPolicy policy{policy_name(mode), {}};
  for (int node = 0; node < kMaxNodes; ++node) {
    if ((mask[static_cast<size_t>(node / kWordBits)] >> (node % kWordBits) & 1) != 0) policy.nodes.push_back(node);
  }
  return policy;
}

}  // namespace citius
