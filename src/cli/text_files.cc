#include "cli/text_files.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/signal.h"
#include "cli/inputs.h"

namespace citius::cli {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 30;

std::string read_standard_input() {
  std::string text;
  std::vector<char> buffer(size_t{64} << 10);
  while (true) {
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    check_interrupted();
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_input("standard input", "cannot read: {}", std::strerror(errno));
    if (got == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > kMaxBytes) fail_input("standard input", "is too large, expected at most {} bytes", kMaxBytes);
  }
}

}  // namespace

std::string read_text(const std::string& path) {
  std::string text = path == "-" ? read_standard_input() : read_file(path, kMaxBytes);
  refuse_other_forms(std::string_view(text).substr(0, kHeadBytes), path == "-" ? "standard input" : path);
  return text;
}

bool is_table(const std::string& path) {
  const std::string ending = lower_extension(path);
  return ending == ".jsonl" || ending == ".csv" || ending == ".tsv";
}

std::vector<std::string> read_texts(const std::string& path, const std::string& column, bool whole) {
  if (!column.empty() && !is_table(path)) {
    fail(ErrorKind::kUsage, "text-column", "got a column for '{}', expected a .jsonl, .csv or .tsv file", path);
  }
  if (!is_table(path) && whole) {
    return {read_text(path)};
  }
  InputOptions options;
  options.input = path;
  options.text_column = column;
  Inputs inputs(options);
  std::vector<std::string> texts;
  InputRow row;
  while (inputs.next(row)) {
    if (!row.text.empty()) texts.push_back(std::move(row.text));
  }
  if (texts.empty()) fail_input(path, "holds no text");
  return texts;
}

}  // namespace citius::cli
