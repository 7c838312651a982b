// Which NUMA nodes this process's memory lies on. Linux puts a page on the node of the thread that touches it first: which
// thread read or packed a weight would decide whose memory controllers all threads wait for, while others rest.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace citius {

/// Numbers of a list of the kernel, such as "0-1,3", ascending as it has them; none where it is no such list.
std::vector<int> parse_kernel_list(std::string_view text);

/// The nodes over which memory shall be spread: those with processors that this process may run on and memory that it
/// may take, if they are more than one, else none. `nodes` is the kernel's folder of nodes, `status` what it says of this
/// process. Where one node has processors, one small file is all that is read.
std::vector<int> nodes_to_spread(const std::filesystem::path& nodes = "/sys/devices/system/node",
                                 const std::filesystem::path& status = "/proc/self/status");

/// Spreads all memory that this thread, and those it starts from now on, will touch first over nodes_to_spread(); pages
/// of files that they read too. Does nothing where a policy was set from outside (numactl) or the system refuses.
void spread_memory();

/// The policy by which new pages of this thread are placed.
struct MemoryPolicy {
  std::string name;        // as numactl has it; "default" is the node of the thread that touches a page first
  std::vector<int> nodes;  // none for "default" and "local"
};
/// The policy in force; "unknown" where the system does not tell.
MemoryPolicy memory_policy();

}  // namespace citius
