#include "cli/inputs.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/signal.h"

namespace citius::cli {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;

std::unique_ptr<RowParser> make_parser(const std::string& where, const std::string& ending, const InputOptions& options,
                                       const std::vector<std::string>& fields) {
  std::vector<std::string> columns = {options.text_column.empty() ? "text" : options.text_column};
  columns.insert(columns.end(), fields.begin(), fields.end());
  if (ending == ".jsonl") return make_jsonl_parser(where, columns, options.messages);
  if (ending == ".json") {
    log_warning("{}: every line is taken as a text; objects a line are .jsonl, and jq -c '.[]' makes that of a JSON list", where);
  }
  if (ending == ".csv") return make_csv_parser(where, columns, ',');
  if (ending == ".tsv") return make_csv_parser(where, columns, '\t');
  if (!options.text_column.empty()) {
    fail(ErrorKind::kUsage, "--text-column", "{} has one text a line; expected a .jsonl, .csv or .tsv file", where);
  }
  if (!fields.empty()) {
    fail(ErrorKind::kUsage, "--input", "got {}, expected a .jsonl, .csv or .tsv file with the column '{}'", where, fields.front());
  }
  return make_line_parser(where);
}

}  // namespace

void refuse_other_forms(std::string_view head, const std::string& where) {
  // None of these begins a text in UTF-8: a byte in them is not valid there, or is a control character that no text has.
  using std::string_view_literals::operator""sv;
  struct Form {
    std::string_view begin, name, remedy;
    size_t at = 0;
  };
  static constexpr Form kForms[] = {{"\x93NUMPY", "a NumPy array", ""},
                                    {"GGUF\x02\0"sv, "a GGUF model", ""},
                                    {"GGUF\x03\0"sv, "a GGUF model", ""},
                                    {"\0\0\0\0{\""sv, "safetensors", "", /*at=*/4},  // after the low half of the header's size
                                    {"\x1F\x8B", "gzip", "gzip -dc"},
                                    {"\x28\xB5\x2F\xFD", "zstd", "zstd -dc"},
                                    {"\xFD\x37zXZ", "xz", "xz -dc"},
                                    {"PK\x03\x04", "a zip archive", "unzip -p"},
                                    {"PAR1\x15", "Parquet", "pandas.read_parquet(...).to_json(..., orient='records', lines=True)"},
                                    {"\xFF\xFE", "UTF-16", "iconv -f UTF-16 -t UTF-8"},
                                    {"\xFE\xFF", "UTF-16", "iconv -f UTF-16 -t UTF-8"}};
  for (const Form& form : kForms) {
    if (!head.substr(std::min(form.at, head.size())).starts_with(form.begin)) continue;
    fail_input(where, "is {}, expected text in UTF-8{}", form.name,
               form.remedy.empty() ? std::string() : fmt::format("; {} converts it", form.remedy));
  }
}

void add_input_options(CLI::App& command, InputOptions& options) {
  command.add_option_function<std::string>(
      "TEXT",
      [&options](const std::string& text) {
        if (options.has_text) fail(ErrorKind::kUsage, "text", "got it twice, expected one text");
        options.text = text;
        options.has_text = true;
      },
      "The text. Without it and without --input, standard input is read, one text a line");
  command.add_option("-i,--input", options.input,
                     "File of texts: .jsonl and .csv/.tsv by column, anything else one text a line; - is standard input");
  command.add_option("--text-column", options.text_column, "Column or key of the text in --input (default: text)");
}

Inputs::Inputs(const InputOptions& options, const std::vector<std::string>& fields) {
  const bool standard_input = options.input.empty() || options.input == "-";
  if (options.has_text && !options.input.empty()) {
    fail(ErrorKind::kUsage, "--input", "got a text argument too; expected one of the two");
  }
  if (options.has_text) {
    if (!options.text_column.empty()) {
      fail(ErrorKind::kUsage, "--text-column", "got a text argument; expected --input with a .jsonl, .csv or .tsv file");
    }
    single_ = true;
    ended_ = true;
    where_ = "text";
    ready_.push_back({options.text, std::vector<std::string>(fields.size()), 0});
    return;
  }
  if (standard_input) {
    where_ = "standard input";
    parser_ = make_parser(where_, "", options, fields);
    fd_ = STDIN_FILENO;
    if (::isatty(fd_) == 1) log_note("reading texts from the terminal, one a line; end with Ctrl-D");
    return;
  }
  where_ = options.input;
  parser_ = make_parser(where_, lower_extension(options.input), options, fields);
  fd_ = ::open(options.input.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) fail_input(where_, "cannot open: {}", std::strerror(errno));
  owned_ = true;
  struct stat status{};
  if (::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode)) total_bytes_ = static_cast<uint64_t>(status.st_size);
}

Inputs::~Inputs() {
  if (owned_) ::close(fd_);
}

// Reads once and parses; false where there was nothing to read without waiting.
bool Inputs::fill(bool wait) {
  if (!wait) {
    pollfd poll_fd{fd_, POLLIN, 0};
    if (::poll(&poll_fd, 1, 0) <= 0) return false;
  }
  std::string buffer(kReadBytes, '\0');
  const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
  if (got < 0) {
    check_interrupted();
    if (errno == EINTR || errno == EAGAIN) return false;
    fail_input(where_, "cannot read: {}", std::strerror(errno));
  }
  ended_ = got == 0;
  read_bytes_ += static_cast<uint64_t>(got);
  try {
    if (ended_) {
      parser_->end(ready_);
    } else {
      const std::string_view bytes = std::string_view(buffer).substr(0, static_cast<size_t>(got));
      if (head_.size() < kHeadBytes) {
        head_ += bytes.substr(0, kHeadBytes - head_.size());
        refuse_other_forms(head_, where_);
      }
      parser_->feed(bytes, ready_);
    }
  } catch (const Error&) {
    // Told when it is its turn: the rows before the bad one are answered first, however the bytes arrived.
    error_ = std::current_exception();
    ended_ = true;
  }
  return true;
}

bool Inputs::next(InputRow& row) {
  check_interrupted();
  while (given_ == ready_.size()) {
    if (error_) std::rethrow_exception(error_);
    if (ended_) return false;
    ready_.clear();
    given_ = 0;
    bytes_before_ = read_bytes_;
    fill(/*wait=*/true);
  }
  row = std::move(ready_[given_++]);
  return true;
}

uint64_t Inputs::given_bytes() const {
  if (ready_.empty()) return read_bytes_;
  return bytes_before_ + (read_bytes_ - bytes_before_) * given_ / ready_.size();
}

std::vector<InputRow> Inputs::next_batch(size_t max_rows) {
  std::vector<InputRow> batch;
  InputRow row;
  while (batch.size() < max_rows) {
    if (!batch.empty() && given_ == ready_.size()) {
      if (ended_ || !fill(/*wait=*/false)) break;
      continue;
    }
    if (!next(row)) break;
    batch.push_back(std::move(row));
  }
  return batch;
}

}  // namespace citius::cli
