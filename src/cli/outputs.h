// Where the results of a command go: standard output, or a file whose ending gives its form (.jsonl, .csv, .npy), written
// beside and renamed, so that an interrupted command leaves no partial file. docs/cli.md has the rules.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"
#include "base/json.h"

namespace citius::cli {

struct OutputOptions {
  bool json = false;
  std::string output;  // --output; empty: standard output
};

/// Adds --json and --output to a command. `options` must outlive parsing.
void add_output_options(CLI::App& command, OutputOptions& options);
/// Adds --json alone, for commands that give one document.
void add_json_option(CLI::App& command, bool& json);

/// Writes to standard output and flushes. Throws Error{kResource} where that fails.
void print(std::string_view text);
/// print() of one JSON document: a line, or indented where standard output is a terminal.
void print_json(const json::value& value);

/// One result. `embedding`, where set, is written last, under its key, with float precision; it is what .npy takes.
struct OutputRow {
  json::object fields;
  std::string_view plain;  // what is printed without --json and --output, line end excluded
  std::optional<std::span<const float>> embedding;
  std::string_view embedding_key = "embedding";
};

class Outputs {
 public:
  /// Opens the file. `embeddings` allows .npy. Throws Error{kUsage} for an unknown ending.
  Outputs(const OutputOptions& options, bool embeddings);
  ~Outputs();
  Outputs(const Outputs&) = delete;
  Outputs& operator=(const Outputs&) = delete;

  /// Writes one result; standard output sees it at once. In .csv the columns are the keys of the first row; nested values
  /// are JSON in their cell.
  void write(const OutputRow& row);
  /// Whether results appear on a terminal, where a bar of progress would be among them.
  bool on_terminal() const;
  /// Throws Error{kUsage} where `input` is the file that finish() would replace.
  void check_apart(const std::string& input) const;
  /// Dimensions of the embeddings, for a .npy without rows.
  void set_width(size_t width) { width_hint_ = width; }
  /// Renames the file into place. Without it nothing is left.
  void finish();

 private:
  enum class Form { kPlain, kJsonl, kCsv, kNpy };
  void write_csv(const OutputRow& row);
  void write_npy(std::span<const float> embedding);

  std::string where_;
  Form form_ = Form::kPlain;
  std::unique_ptr<AtomicFile> file_;
  std::string header_;           // CSV header line, once known
  std::optional<size_t> width_;  // dimensions of the .npy
  size_t width_hint_ = 0;
  uint64_t rows_ = 0;
};

}  // namespace citius::cli
