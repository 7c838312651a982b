// What stands in for network/ in a build without it.
#include "base/error.h"
#include "store/fetch.h"

namespace citius {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  fail(ErrorKind::kUsage, "pull", "{}: this build has no network support; pull a path to a model instead", what);
}

}  // namespace

std::string fetch_hub(const Source& source, const std::string&, const std::filesystem::path&) { refuse(source.text); }
void fetch_address(const std::string& address, const std::filesystem::path&) { refuse(address); }
std::filesystem::path fetch_wheel(const Source& source, const std::filesystem::path&) { refuse(source.text); }
void unpack_model(const std::filesystem::path& archive, const std::string&, const std::filesystem::path&) { refuse(archive.string()); }

}  // namespace citius
