#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/signal.h"
#include "base/version.h"
#include "cli/commands.h"

namespace citius {
namespace {

int say(const char* message, int code) {
  std::fprintf(stderr, "citius: %s\n", message);
  return code;
}

}  // namespace

int cli_main(int argc, char** argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  // `citius help COMMAND` is `citius COMMAND --help`.
  if (!words.empty() && words[0] == "help") {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
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
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));  // it takes them from the end
    return 0;
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) != 0) return exit_code(ErrorKind::kUsage);
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
