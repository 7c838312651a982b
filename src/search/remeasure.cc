#include "search/remeasure.h"

#include <map>

#include "base/digest.h"
#include "base/error.h"
#include "eval/machine.h"
#include "search/goal.h"

namespace citius {
namespace {

JsonObject citius_json(const Engine& engine) { return {engine.checkpoint.package, (engine.checkpoint.path / "citius.json").string()}; }

// Every weight in the format it had in the source; those that citius cannot write stay as they are.
FormatPolicy given_policy(const JsonObject& recipe) {
  std::map<std::string, Format> given;
  const JsonObject formats = recipe.get_object("given");
  for (const auto& item : formats.object()) {
    const std::optional<Format> format = parse_format(formats.get_string(item.key()));
    if (format && can_encode(*format)) given[std::string(item.key())] = *format;
  }
  return [given](const WeightRecord& record) {
    const auto found = given.find(record.name);
    return found == given.end() ? record.stored : found->second;
  };
}

}  // namespace

std::string made_for_other_isa(const Engine& engine) {
  if (engine.checkpoint.package.empty() || engine.backend->name() != "cpu") return "";
  const JsonObject package = citius_json(engine);
  if (!package.has("measurements") || !package.has("recipe")) return "";
  const JsonObject recipe = package.get_object("recipe");
  if (!recipe.has("given") || recipe.get_object("given").object().empty() || recipe.get_string("goal", "memory") == "memory") return "";
  if (recipe.get_string("compute", "fast") != compute_name(engine.options.compute)) return "";
  const std::string isa = package.get_object("measurements").get_object("machine").get_string("isa", "");
  return isa == engine.backend->isa() ? "" : isa;
}

Estimate remeasure(Engine& engine, const OnProgress& progress) {
  const JsonObject recipe = citius_json(engine).get_object("recipe");
  EngineOptions options = engine.options;
  options.num_threads = engine.backend->threads().num_threads();
  options.policy = given_policy(recipe);
  Checkpoint plain = engine.checkpoint;
  plain.package = {};  // it was checked, and told of, when `engine` was opened
  Engine given = open_engine(std::move(plain), options);
  const Workload workload = goal_workload(engine.model().config(), parse_goal(recipe.get_string("goal")));
  const std::unique_ptr<SpeedRunner> base = SpeedRunner::make(given, workload), package = SpeedRunner::make(engine, workload);
  SpeedRunner* contestants[] = {base.get(), package.get()};
  SpeedOptions speed;
  speed.seconds = 1;
  const auto rounds = measure_interleaved(contestants, speed, progress);
  return speedup_estimate(round_seconds(rounds[0]), round_seconds(rounds[1]));
}

std::string remeasure_key(const Engine& engine) {
  return sha256(fmt::format("{}\n{}\n{}\n{}", citius_json(engine).get_string("digest"), describe_machine().cpu, engine.backend->isa(),
                            engine.backend->threads().num_threads()));
}

}  // namespace citius
