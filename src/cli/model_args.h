// The arguments that every command takes that runs a model: MODEL, threads, instruction set and compute mode.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "runtime/engine.h"

namespace citius::cli {

struct ModelArgs {
  std::string model;
  int threads = 0;
  std::string isa;
  std::string compute = "fast";
  std::string kv = "f32";
};

/// Adds MODEL, --threads, --isa, --compute and --kv. `args` must outlive parsing.
void add_model_args(CLI::App& command, ModelArgs& args);

/// What open_engine takes.
EngineOptions engine_options(const ModelArgs& args);

}  // namespace citius::cli
