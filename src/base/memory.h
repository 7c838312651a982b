// How much memory this process may still take. Whatever is planned larger is refused with the numbers before it is
// begun, because Linux grants any allocation and kills the process when it comes to use it.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

namespace citius {

/// Bytes that can still be taken without being killed: the least of what the system has available, what the cgroup
/// leaves (both without what is claimed) and what RLIMIT_AS and RLIMIT_DATA leave.
int64_t available_memory();

/// Pages of mapped files that are read again and again, as weights are. The system counts them as available: available_memory() does
/// not while this lives.
class MemoryClaim {
 public:
  MemoryClaim() = default;
  MemoryClaim(MemoryClaim&& other) noexcept : bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryClaim& operator=(MemoryClaim&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MemoryClaim() { add(-bytes_); }

  void add(int64_t bytes);
  int64_t bytes() const { return bytes_; }

 private:
  int64_t bytes_ = 0;
};

/// Throws Error{kResource} with both numbers where `bytes` more than available_memory() are asked for. `what` is what
/// needs them, `hint` what may help.
void require_memory(std::string_view what, double bytes, std::string_view hint);

}  // namespace citius
