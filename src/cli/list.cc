// citius list and citius rm: what the local store holds, and a model less.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/log.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/outputs.h"
#include "store/store.h"

namespace citius::cli {
namespace {

struct RemoveFlags {
  std::vector<std::string> names;
  bool json = false;
};

void run_list(bool as_json) {
  json::array list;
  const std::vector<StoredModel> models = list_store();
  if (models.empty()) log_note("stored: nothing yet; citius pull gets one");
  for (const StoredModel& model : models) {
    if (as_json) {
      list.push_back(
          json::object{{"name", model.name}, {"source", model.source}, {"bytes", model.bytes}, {"unfinished", model.unfinished}});
    } else {
      print(fmt::format("{:<32} {:>9}  {}{}\n", model.name, format_bytes(static_cast<double>(model.bytes)), model.source,
                        model.unfinished ? " (unfinished; citius pull goes on)" : ""));
    }
  }
  if (as_json) print_json(json::object{{"models", std::move(list)}});
}

void run_remove(const RemoveFlags& flags) {
  const std::vector<StoredModel> all = list_store();
  std::vector<std::string> names;  // each once
  for (const std::string& name : flags.names) {
    if (std::ranges::find(all, name, &StoredModel::name) == all.end()) {
      fail_input(name, "is not in the store, and nothing is removed; citius list shows what is there");
    }
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  }
  json::array removed;
  for (const std::string& name : names) {
    const uint64_t bytes = remove_stored(name);
    if (!flags.json) print(fmt::format("{}: removed, {}\n", name, format_bytes(static_cast<double>(bytes))));
    removed.push_back(json::object{{"name", name}, {"bytes", bytes}});
  }
  if (flags.json) print_json(json::object{{"removed", std::move(removed)}});
}

}  // namespace

void add_list(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  CLI::App& command = *app.add_subcommand("list", "The models in the local store, and what unfinished pulls left there");
  add_json_option(command, *json);
  command.footer("Example: citius list");
  command.callback([json] { run_list(*json); });
}

void add_rm(CLI::App& app) {
  auto flags = std::make_shared<RemoveFlags>();
  CLI::App& command = *app.add_subcommand("rm", "Remove models, or what unfinished pulls left, from the local store");
  command.add_option("NAME", flags->names, "Names as `citius list` shows them")->required();
  add_json_option(command, flags->json);
  command.footer("Example: citius rm all-MiniLM-L6-v2");
  command.callback([flags] { run_remove(*flags); });
}

}  // namespace citius::cli
