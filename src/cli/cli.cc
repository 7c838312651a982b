#include "cli/cli.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/edit_distance.h"
#include "base/error.h"
#include "base/log.h"
#include "base/numa.h"
#include "base/signal.h"
#include "base/version.h"
#include "cli/commands.h"

namespace citius {
namespace {

int say(const char* message, int code) {
  std::fprintf(stderr, "citius: %s\n", printable(message).c_str());
  return code;
}

// The long option of `command` that is spelled most like `option`; empty where none is near.
std::string nearest_option(const CLI::App& command, const std::string& option) {
  std::string nearest;
  size_t least = 1 + option.size() / 3;
  for (const CLI::Option* const known : command.get_options()) {
    for (const std::string& name : known->get_lnames()) {
      const size_t distance = edit_distance(option, "--" + name);
      if (distance < least) std::tie(least, nearest) = std::tuple(distance, "--" + name);
    }
  }
  return nearest;
}

// What is wrong with arguments that `command` has no place for, a line each: options that it does not know, otherwise the first
// argument too many. Empty where all have a place.
std::vector<std::string> unplaced(const CLI::App& command, const std::string& name, const std::vector<std::string>& words) {
  std::vector<std::string> problems;
  const std::vector<std::string> rest = command.remaining();
  for (const std::string& word : rest) {
    if (word.size() < 2 || word[0] != '-' || word == "--") continue;
    const std::string option = word.substr(0, word.find('='));
    const std::string nearest = nearest_option(command, option);
    problems.push_back(fmt::format("[{}] is not an option of {}; {}", option, name,
                                   nearest.empty() ? name + " --help lists them" : "did you mean " + nearest + "?"));
  }
  const auto extra = std::ranges::find_if(rest, [](const std::string& word) { return word != "--"; });
  if (!problems.empty() || extra == rest.end()) return problems;
  std::string expected;
  for (const CLI::Option* const known : command.get_options()) {
    if (known->get_positional()) expected += (expected.empty() ? "" : " and ") + known->get_name(/*positional=*/true);
  }
  std::string hint;
  for (size_t i = 2; i < words.size(); ++i) {
    const CLI::Option* const list = words[i] == *extra ? command.get_option_no_throw(words[i - 2]) : nullptr;
    if (list != nullptr && list->get_delimiter() != '\0') {
      hint = fmt::format("; separate several by commas: {} {},{}", words[i - 2], words[i - 1], *extra);
    }
  }
  return {fmt::format("[{}] got '{}' too, expected {}{}", name, *extra, expected.empty() ? "options alone" : expected + " alone", hint)};
}

}  // namespace

int cli_main(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  // `citius help COMMAND` is `citius COMMAND --help`.
  if (!words.empty() && words[0] == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  if (!words.empty() && words[0] == "version") words[0] = "--version";
  CLI::App app("citius: the fastest transformer that still passes", "citius");
  app.require_subcommand(1);
  app.set_version_flag("--version", version());
  app.footer("citius COMMAND --help tells more. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 bad input.");
  for (const cli::AddCommand add : cli::commands()) add(app);
  std::string known;
  bool found = words.empty() || words[0].starts_with('-');
  for (CLI::App* const command : app.get_subcommands({})) {
    known += (known.empty() ? "" : ", ") + command->get_name();
    found = found || command->get_name() == words[0];
    // An option that may be repeated takes one value each time, not the arguments after it.
    for (CLI::Option* const option : command->get_options()) {
      if (!option->get_positional()) option->allow_extra_args(false);
    }
  }
  if (!found) {
    return say(("[command] got '" + words[0] + "', expected one of " + known).c_str(), exit_code(ErrorKind::kUsage));
  }
  catch_interrupts();
  spread_memory();  // before there are threads, which inherit it
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // it takes them from the end
    return 0;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) {
      const std::vector<CLI::App*> parsed = app.get_subcommands();
      std::vector<std::string> problems = unplaced(app, "citius", words);
      if (problems.empty() && !parsed.empty()) problems = unplaced(*parsed[0], "citius " + parsed[0]->get_name(), words);
      for (const std::string& problem : problems) say(problem.c_str(), 0);
      if (problems.empty()) app.exit(error);
      return exit_code(ErrorKind::kUsage);
    }
    app.exit(error);
    return std::cout.flush() ? 0 : say("[stdout] cannot write to it", exit_code(ErrorKind::kResource));  // --help, --version
  } catch (const Error& error) {
    // A system call that the interrupt broke off may have failed in its own words.
    return say(error.what(), interrupted() ? exit_code(ErrorKind::kInterrupted) : exit_code(error.kind()));
  } catch (const std::bad_alloc&) {
    return say("out of memory", exit_code(ErrorKind::kResource));
  } catch (const std::exception& error) {
    return say(error.what(), exit_code(ErrorKind::kFailed));
  }
}

}  // namespace citius
