// The command line: parses arguments, runs one subcommand and turns errors into exit codes.
#pragma once

namespace citius {

/// Runs the command line. Returns the process exit code: 0 done, 1 the thing asked for failed, 2 wrong usage, 3 bad input,
/// 130 interrupted.
int cli_main(int argc, char** argv);

}  // namespace citius
