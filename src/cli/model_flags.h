// The flags that every command which runs a model takes: backend, threads, compute mode, context, format.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "runtime/engine.h"

namespace citius::cli {

/// A number from `low` to `high`: CLI::Range takes NaN too.
CLI::Validator number_range(double low, double high);
/// What --seed must be: a whole number from 0 to 2^64 - 1.
CLI::Validator seed_range();
/// Adds --seed.
CLI::Option* add_seed_option(CLI::App& app, uint64_t& seed, const std::string& help);
/// Says that so many threads are more than this process may use cores, where they are.
void warn_of_threads(const std::string& text);
/// Adds --threads, which warns where there are more than cores.
void add_threads_option(CLI::App& app, int& num_threads);
/// Adds --compute.
void add_compute_option(CLI::App& app, std::string& compute);
/// Adds --kv-type.
CLI::Option* add_kv_type_option(CLI::App& app, std::optional<KvType>& type);

struct ModelFlags {
  std::string model;
  std::string backend = "cpu";
  std::string compute = "fast";
  std::string format;
  std::optional<KvType> kv_type;
  int num_threads = 0;
  int64_t context = 0;

  /// Adds MODEL and the flags that fit every model.
  void add_to(CLI::App& app);
  /// Adds that of models that keep keys and values from call to call: --context.
  void add_decoder_flags_to(CLI::App& app);
  /// Options as they were given, but for --format, which needs the model.
  EngineOptions options() const;
  /// Resolves the name in the store and opens the model, its weights in the formats that --format says. Throws Error{kUsage}
  /// for an unknown one.
  Engine open() const;
  /// The same with other options than those given.
  Engine open(EngineOptions options) const;
};

}  // namespace citius::cli
