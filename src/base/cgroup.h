// What the cgroups of this process allow it, in version 2 (one hierarchy) and version 1 (a hierarchy for each controller). A limit of any
// group above the process's own counts too.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace citius {

/// Where the hierarchies are mounted, and the list of this process's groups.
struct CgroupFiles {
  std::filesystem::path root = "/sys/fs/cgroup";
  std::filesystem::path self = "/proc/self/cgroup";
};

/// What a cgroup allows, and what of it is taken by anything but reclaimable file pages. Bytes.
struct CgroupMemory {
  int64_t limit = 0;
  int64_t used = 0;
};

/// The tightest memory limit; nullopt where no group has one.
std::optional<CgroupMemory> cgroup_memory(const CgroupFiles& files = {});

/// The tightest quota of processor time, in processors (1.5: three milliseconds in two); nullopt where no group has one.
std::optional<double> cgroup_cpus(const CgroupFiles& files = {});

}  // namespace citius
