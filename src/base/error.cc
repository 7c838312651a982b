#include "base/error.h"

namespace citius {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage: return 2;
    case ErrorKind::kInput: return 3;
    case ErrorKind::kFailed:
    case ErrorKind::kResource:
    case ErrorKind::kNetwork: return 1;
    case ErrorKind::kInterrupted: return 130;
  }
  return 1;
}

}  // namespace citius
