#include "base/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#include "base/error.h"
#include "base/progress.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The number in a file of one number; nullopt for "max", absent files, and version 1's way to say unlimited (near
// 2^63).
std::optional<int64_t> number_in(const fs::path& path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (!(file >> value) || value < 0 || value >= (int64_t{1} << 60)) return std::nullopt;
  return value;
}

// The number after `key` in a file of "key number" lines; 0 where there is none.
int64_t value_of(const fs::path& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::strtoll(line.c_str() + key.size(), nullptr, 10);
  }
  return 0;
}

struct Names {
  const char *limit, *usage, *reclaimable;
};
constexpr Names kVersion2 = {"memory.max", "memory.current", "inactive_file "};
constexpr Names kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "};

// Tightens `found` by the limits of `group` and of every group above it, up to `root`.
void walk_up(const fs::path& root, fs::path group, const Names& names, std::optional<CgroupMemory>& found) {
  for (;;) {
    const fs::path folder = root / group.relative_path();
    if (const auto limit = number_in(folder / names.limit)) {
      const int64_t used = number_in(folder / names.usage).value_or(0) - value_of(folder / "memory.stat", names.reclaimable);
      const CgroupMemory memory{*limit, std::max<int64_t>(0, used)};
      if (!found || memory.limit - memory.used < found->limit - found->used) found = memory;
    }
    if (group.empty() || group == group.root_path()) return;
    group = group.parent_path();
  }
}

int64_t left_of(int resource, const std::string& status_key) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUnlimited;
  const int64_t used = value_of("/proc/self/status", status_key) * 1024;
  return std::max<int64_t>(0, static_cast<int64_t>(limit.rlim_cur) - used);
}

}  // namespace

std::optional<CgroupMemory> cgroup_memory(const fs::path& root, const fs::path& self) {
  std::optional<CgroupMemory> found;
  std::ifstream groups(self);
  for (std::string line; std::getline(groups, line);) {  // "0::/a/b" (version 2) or "7:memory:/a/b" (version 1)
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty()) walk_up(root, group, kVersion2, found);
    if (("," + controllers + ",").find(",memory,") != std::string::npos) walk_up(root / "memory", group, kVersion1, found);
  }
  return found;
}

int64_t available_memory() {
  const int64_t system = value_of("/proc/meminfo", "MemAvailable:") * 1024;
  int64_t available = system > 0 ? system : kUnlimited;
  if (const auto group = cgroup_memory()) available = std::min(available, std::max<int64_t>(0, group->limit - group->used));
  available = std::min(available, left_of(RLIMIT_AS, "VmSize:"));
  return std::min(available, left_of(RLIMIT_DATA, "VmData:"));
}

void require_memory(std::string_view what, double bytes, std::string_view hint) {
  const auto available = static_cast<double>(available_memory());
  if (bytes <= available) return;
  fail(ErrorKind::kResource, "memory", "{} would take {}, expected at most {}, which is available here; {}", what, format_bytes(bytes),
       format_bytes(available), hint);
}

}  // namespace citius
