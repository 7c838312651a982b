#include "cli/cli.h"

int main(int argc, char** argv) { return citius::cli_main(argc, argv); }
