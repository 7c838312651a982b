#include "base/cgroup.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>

#include "base/proc_file.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

// Calls visit(folder, version) for the groups of this process that `controller` limits, each with every group above it.
template <typename Visit>
void for_each_group(const CgroupFiles& files, std::string_view controller, const Visit& visit) {
  const auto walk_up = [&](const fs::path& root, fs::path group, int version) {
    for (;;) {
      visit(root / group.relative_path(), version);
      if (group.empty() || group == group.root_path()) return;
      group = group.parent_path();
    }
  };
  const std::string among = "," + std::string(controller) + ",";
  std::ifstream groups(files.self);
  for (std::string line; std::getline(groups, line);) {  // "0::/a/b" (version 2) or "7:memory:/a/b" (version 1)
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (controllers.empty()) walk_up(files.root, group, 2);
    if (("," + controllers + ",").find(among) == std::string::npos) continue;
    // Controllers that are mounted together lie in a folder of all their names; not every system links each name to it.
    const fs::path alone = files.root / controller;
    std::error_code error;
    walk_up(fs::exists(alone, error) ? alone : files.root / controllers, group, 1);
  }
}

// File pages are given back before anyone is killed, active ones too: a mapped model is among them after a few starts. Pages of shared
// memory and locked ones are in neither list.
struct Names {
  const char *limit, *usage, *active_files, *inactive_files;
};
constexpr Names kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_active_file ", "total_inactive_file "};
constexpr Names kVersion2 = {"memory.max", "memory.current", "active_file ", "inactive_file "};

// Processors that one group's quota allows.
std::optional<double> cpus_of(const fs::path& folder, int version) {
  int64_t quota = 0, period = 0;
  if (version == 2) {
    std::ifstream file(folder / "cpu.max");  // "50000 100000" or "max 100000"
    if (!(file >> quota >> period)) return std::nullopt;
  } else {
    quota = number_in(folder / "cpu.cfs_quota_us").value_or(0);
    period = number_in(folder / "cpu.cfs_period_us").value_or(0);
  }
  if (quota <= 0 || period <= 0) return std::nullopt;
  return static_cast<double>(quota) / static_cast<double>(period);
}

}  // namespace

std::optional<CgroupMemory> cgroup_memory(const CgroupFiles& files) {
  std::optional<CgroupMemory> found;
  for_each_group(files, "memory", [&](const fs::path& folder, int version) {
    const Names& names = version == 2 ? kVersion2 : kVersion1;
    const auto limit = number_in(folder / names.limit);
    if (!limit) return;
    const fs::path stat = folder / "memory.stat";
    const int64_t reclaimable = number_after(stat, names.active_files) + number_after(stat, names.inactive_files);
    const int64_t used = number_in(folder / names.usage).value_or(0) - reclaimable;
    const CgroupMemory memory{*limit, std::max<int64_t>(0, used)};
    if (!found || memory.limit - memory.used < found->limit - found->used) found = memory;
  });
  return found;
}

std::optional<double> cgroup_cpus(const CgroupFiles& files) {
  std::optional<double> found;
  for_each_group(files, "cpu", [&](const fs::path& folder, int version) {
    const auto cpus = cpus_of(folder, version);
    if (cpus && (!found || *cpus < *found)) found = cpus;
  });
  return found;
}

}  // namespace citius
