#include "search/package_writer.h"
namespace citius {
void write_optimized(const std::filesystem::path& model, const std::filesystem::path& out, const FormatPolicy& policy,
                     const json::object& measurements, int num_threads) {}
}
