#include "cli/cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "base/error.h"

namespace citius {

int cli_main(int argc, char** argv) {
  CLI::App app("citius: the fastest transformer that still passes", "citius");
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const Error& error) {
    std::fprintf(stderr, "citius: %s\n", error.what());
    return exit_code(error.kind());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "citius: %s\n", error.what());
    return 1;
  }
}

}  // namespace citius
