// Which backends there are.
#include "backend/backend.h"
#include "backend/ref/ref_backend.h"
#include "base/error.h"

namespace citius {

std::unique_ptr<Backend> make_backend(const std::string& name, const BackendOptions& options) {
  const int num_threads = options.num_threads > 0 ? options.num_threads : default_num_threads();
  if (name == "ref") return std::make_unique<ref::RefBackend>(num_threads);
  fail(ErrorKind::kUsage, "backend", "unknown backend, got '{}', expected ref", name);
}

std::vector<std::string> available_isas() { return {}; }

}  // namespace citius
