#include "base/memory.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>

#include "base/cgroup.h"
#include "base/error.h"
#include "base/proc_file.h"
#include "base/progress.h"

namespace citius {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

std::atomic<int64_t> claimed{0};  // by this process

int64_t left_of(int resource, const std::string& status_key) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return kUnlimited;
  const int64_t used = number_after("/proc/self/status", status_key) * 1024;
  return std::max<int64_t>(0, static_cast<int64_t>(limit.rlim_cur) - used);
}

}  // namespace

void MemoryClaim::add(int64_t bytes) {
  bytes_ += bytes;
  claimed += bytes;
}

int64_t available_memory() {
  const int64_t system = number_after("/proc/meminfo", "MemAvailable:") * 1024;
  int64_t available = system > 0 ? system : kUnlimited;
  if (const auto group = cgroup_memory()) available = std::min(available, group->limit - group->used);
  available = std::max<int64_t>(0, available - claimed.load());
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
