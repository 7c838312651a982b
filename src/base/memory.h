// How much memory this process may still take. Whatever is planned larger is refused with the numbers before it is
// begun, because Linux grants any allocation and kills the process when it comes to use it.
#pragma once

#include <cstdint>
#include <string_view>

namespace citius {

/// Bytes that can still be taken without being killed: the least of what the system has available, what the cgroup
/// leaves and what RLIMIT_AS and RLIMIT_DATA leave.
int64_t available_memory();

/// Throws Error{kResource} with both numbers where `bytes` more than available_memory() are asked for. `what` is what
/// needs them, `hint` what may help.
void require_memory(std::string_view what, double bytes, std::string_view hint);

}  // namespace citius
