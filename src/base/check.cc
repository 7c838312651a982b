#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace citius {

void check_failed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "citius: CHECK(%s) failed at %s:%d; this is a defect of citius\n", condition, file, line);
  std::abort();
}

}  // namespace citius
