// Where the texts of a command come from: an argument, a file (JSON lines, CSV, TSV, or a text a line) or standard input.
// Reading is streamed: a row is given out as soon as its line has arrived. docs/cli.md has the rules.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace citius::cli {

struct InputOptions {
  std::string text;         // the text argument
  bool has_text = false;    // an empty text argument is a text
  std::string input;        // --input; empty: the text argument or standard input
  std::string text_column;  // --text-column; empty: "text"
  bool messages = false;    // a row of a .jsonl file may have a list "messages" in place of its text
};

/// Adds the positional TEXT, --input and --text-column to a command. `options` must outlive parsing.
void add_input_options(CLI::App& command, InputOptions& options);

struct InputRow {
  std::string text;
  std::vector<std::string> fields;  // the further columns that were asked for
  uint64_t line = 0;                // where the row begins in the file, from 1; 0 for the text argument
  json::array messages;             // objects with the strings "role" and "content", in place of the text
};

/// Splits a stream into rows. feed() takes bytes as they arrive, end() says that no more will come; both append the rows
/// that are complete. Throw Error{kInput} that names `where` and the line.
class RowParser {
 public:
  virtual ~RowParser() = default;
  virtual void feed(std::string_view bytes, std::vector<InputRow>& rows) = 0;
  virtual void end(std::vector<InputRow>& rows) = 0;
};

/// Lines end at '\n' alone; one '\r' before it is dropped; everything else is text.
std::unique_ptr<RowParser> make_line_parser(std::string where);
/// A JSON object a line; `columns` are the keys wanted, the first one is the text. Values must be strings. With `messages` a line may
/// have a list of that name instead.
std::unique_ptr<RowParser> make_jsonl_parser(std::string where, std::vector<std::string> columns, bool messages = false);
/// RFC 4180 with a header line: fields may be quoted, quoted fields may hold separators, line ends and doubled quotes.
std::unique_ptr<RowParser> make_csv_parser(std::string where, std::vector<std::string> columns, char separator);

/// Throws Error{kInput} where `head`, the first kHeadBytes of a stream, are those of a form that is no text: compressed, UTF-16, Parquet,
/// weights.
void refuse_other_forms(std::string_view head, const std::string& where);
inline constexpr size_t kHeadBytes = 10;

class Inputs {
 public:
  /// Opens the file, if one is named. `fields` are columns wanted beside the text; only .jsonl, .csv and .tsv have them.
  /// Throws Error{kUsage} where both a text and --input are given.
  explicit Inputs(const InputOptions& options, const std::vector<std::string>& fields = {});
  ~Inputs();
  Inputs(const Inputs&) = delete;
  Inputs& operator=(const Inputs&) = delete;

  /// Waits for the next row; false at the end. Throws Error{kInterrupted} on Ctrl-C.
  bool next(InputRow& row);
  /// Waits for one row, then takes those that are there already, up to `max_rows`: a batch that keeps nobody waiting.
  /// Empty at the end.
  std::vector<InputRow> next_batch(size_t max_rows);

  /// A single text argument: --json prints one object, not one a line.
  bool single() const { return single_; }
  /// Size of the file that is read, 0 where it is not known, and about how much of it the rows given out make up.
  uint64_t total_bytes() const { return total_bytes_; }
  uint64_t given_bytes() const;
  /// Name of the source for messages: the file, "standard input" or "text".
  const std::string& where() const { return where_; }

 private:
  bool fill(bool wait);

  std::string where_;
  bool single_ = false;
  int fd_ = -1;
  uint64_t total_bytes_ = 0, read_bytes_ = 0;
  uint64_t bytes_before_ = 0;  // read before those of ready_
  bool owned_ = false;
  bool ended_ = false;
  std::string head_;  // the first bytes of the stream
  std::unique_ptr<RowParser> parser_;
  std::exception_ptr error_;  // what is wrong after the rows of ready_
  std::vector<InputRow> ready_;
  size_t given_ = 0;  // rows of ready_ that were given out
};

}  // namespace citius::cli
