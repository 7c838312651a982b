// CHECK aborts on a programmer error, in every build. Never for what a user, a file or a device can cause: that is
// base/error.h.
#pragma once

namespace citius {
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
}

#define CHECK(condition) ((condition) ? (void)0 : ::citius::check_failed(#condition, __FILE__, __LINE__))
