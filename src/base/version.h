// The version of citius, as --version prints it and packages and reports record it.
#pragma once

namespace citius {

/// "MAJOR.MINOR.PATCH" of the build.
const char* version();

}  // namespace citius
