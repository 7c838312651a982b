#include "base/version.h"

namespace citius {

const char* version() { return CITIUS_VERSION; }

}  // namespace citius
