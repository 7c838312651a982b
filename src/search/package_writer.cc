#include "search/package_writer.h"

#include "base/version.h"
#include "runtime/decoder.h"
#include "runtime/receipt.h"

namespace citius {

void write_optimized(const Checkpoint& source, const OptimizedPackage& package) {
  EngineOptions options;
  options.backend = "ref";
  options.num_threads = package.num_threads;
  options.policy = package.policy;
  Checkpoint plain = source;
  plain.package = {};  // a receipt of the source is not that of the package
  Engine reference = open_engine(std::move(plain), options);
  PackageContent content;
  content.citius["made_by"] = std::string("citius ") + version();
  content.citius["recipe"] = package.recipe;
  content.citius["measurements"] = package.measurements;
  content.citius["receipt"] = make_receipt(reference, package.seed);
  for (const WeightRecord& record : reference.loaded.load.records) {
    if (record.format != record.stored) content.weights.push_back({record.name, record.format, record.transposed});
  }
  content.files = package.files;
  write_package(package.directory, source, content, reference.backend->threads(), package.on_written);
}

}  // namespace citius
