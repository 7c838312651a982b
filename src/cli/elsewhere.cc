#include "cli/elsewhere.h"

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signal.h"
#include "cli/step_progress.h"
#include "search/candidate.h"
#include "search/remeasure.h"
#include "store/store.h"

namespace citius::cli {
namespace {

std::optional<Estimate> known(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  try {
    const json::value document = read_json(file, size_t{1} << 16);
    const JsonObject object(document, file.string());
    return Estimate{object.get_number("speedup"), object.get_number("low"), object.get_number("high")};
  } catch (const Error&) {
    return std::nullopt;  // damaged: measured again
  }
}

Estimate measure_and_keep(Engine& engine, const std::filesystem::path& file) {
  StepProgress progress;
  const Estimate speedup = remeasure(engine, [&](double share) { progress("measuring the package on this machine", share); });
  try {
    std::filesystem::create_directories(file.parent_path());
    write_file(file, json::serialize(json::object{{"speedup", speedup.value}, {"low", speedup.low}, {"high", speedup.high}}) + "\n");
  } catch (const std::exception& error) {
    log_note("the measurement is not kept: {}", error.what());
  }
  return speedup;
}

}  // namespace

void tell_elsewhere(Engine& engine) {
  const std::string isa = made_for_other_isa(engine);
  if (isa.empty()) return;
  std::optional<Estimate> speedup;
  try {
    const std::filesystem::path file = store_root() / "measured" / (remeasure_key(engine) + ".json");
    speedup = known(file);
    if (!speedup) speedup = measure_and_keep(engine, file);
  } catch (const std::exception& error) {
    // The package works whatever it gains; the formats that it was made from may not fit beside it.
    if (interrupted()) throw;
    log_warning("the package was made for {} and is not measured here ({}): {}", isa, engine.backend->isa(), error.what());
    return;
  }
  log_warning("measured here ({}), the package is {:.2f} times as fast as the formats it was made from (95 % interval {:.2f} to {:.2f}){}",
              engine.backend->isa(), speedup->value, speedup->low, speedup->high,
              speedup->low > 1 ? "" : "; optimize the original on this machine");
}

}  // namespace citius::cli
