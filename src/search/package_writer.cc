#include "search/package_writer.h"

#include "base/error.h"
#include "base/file.h"
#include "base/version.h"
#include "runtime/decoder.h"
#include "runtime/receipt.h"

namespace citius {

void refuse_other_model(const std::filesystem::path& directory, const std::string& digest) {
  if (!is_package(directory)) return;
  std::optional<std::string> source;
  try {
    const json::value citius = read_json(directory / "citius.json", size_t{256} << 20);
    source = JsonObject(citius, "citius.json").get_object("recipe").get_string("source_digest");
  } catch (const Error&) {
    // damaged, or written by another program that did not say
  }
  if (source == digest) return;
  fail(ErrorKind::kUsage, directory.string(), "holds a package {}; remove it, or name another --out",
       source ? "of another model" : "whose citius.json does not tell the model that it was made of");
}

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
