#include "cli/text_files.h"

#include "base/error.h"
#include "base/file.h"
#include "cli/inputs.h"

namespace citius::cli {

bool is_table(const std::string& path) {
  const std::string ending = lower_extension(path);
  return ending == ".jsonl" || ending == ".csv" || ending == ".tsv";
}

std::vector<std::string> read_texts(const std::string& path, const std::string& column, bool whole) {
  constexpr size_t kMaxBytes = size_t{1} << 30;
  if (!column.empty() && !is_table(path)) {
    fail(ErrorKind::kUsage, "text-column", "got a column for '{}', expected a .jsonl, .csv or .tsv file", path);
  }
  if (!is_table(path) && whole) {
    std::string text = read_file(path, kMaxBytes);
    refuse_other_forms(std::string_view(text).substr(0, kHeadBytes), path);
    return {std::move(text)};
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
