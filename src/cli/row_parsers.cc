// The three ways in which a stream becomes rows: lines, JSON lines, CSV/TSV.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "cli/inputs.h"

namespace citius::cli {
namespace {

// A longer row is an error, not an attempt to hold the file in memory.
constexpr size_t kMaxRowBytes = size_t{256} << 20;

[[noreturn]] void fail_too_long(const std::string& where, uint64_t line) {
  fail_input(where, "line {} is too long, expected at most {} bytes", line, kMaxRowBytes);
}

// Calls take(line, number) for each complete line. Bytes are looked at once, however they arrive.
class LineSplitter {
 public:
  explicit LineSplitter(std::string where) : where_(std::move(where)) {}

  template <typename F>
  void feed(std::string_view bytes, const F& take) {
    while (!bytes.empty()) {
      const size_t end = bytes.find('\n');
      if (pending_.size() + std::min(end, bytes.size()) > kMaxRowBytes) fail_too_long(where_, number_);
      if (end == std::string_view::npos) {
        pending_.append(bytes);
        return;
      }
      pending_.append(bytes.substr(0, end));
      if (!pending_.empty() && pending_.back() == '\r') pending_.pop_back();
      take(std::move(pending_), number_++);
      pending_.clear();
      bytes.remove_prefix(end + 1);
    }
  }

  // What stands after the last '\n' is a line unless it is empty.
  template <typename F>
  void end(const F& take) {
    if (!pending_.empty()) take(std::move(pending_), number_);
    pending_.clear();
  }

 private:
  std::string where_;
  std::string pending_;
  uint64_t number_ = 1;
};

class LineParser : public RowParser {
 public:
  explicit LineParser(std::string where) : splitter_(std::move(where)) {}
  void feed(std::string_view bytes, std::vector<InputRow>& rows) override {
    splitter_.feed(bytes, [&](std::string&& line, uint64_t number) { rows.push_back({std::move(line), {}, number}); });
  }
  void end(std::vector<InputRow>& rows) override {
    splitter_.end([&](std::string&& line, uint64_t number) { rows.push_back({std::move(line), {}, number}); });
  }

 private:
  LineSplitter splitter_;
};

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

class JsonlParser : public RowParser {
 public:
  JsonlParser(std::string where, std::vector<std::string> columns, bool messages)
      : where_(where), columns_(std::move(columns)), messages_(messages), splitter_(std::move(where)) {}
  void feed(std::string_view bytes, std::vector<InputRow>& rows) override {
    splitter_.feed(bytes, [&](std::string&& line, uint64_t number) { rows.push_back(parse(line, number)); });
  }
  void end(std::vector<InputRow>& rows) override {
    splitter_.end([&](std::string&& line, uint64_t number) { rows.push_back(parse(line, number)); });
  }

 private:
  InputRow parse(std::string_view line, uint64_t number) const {
    if (number == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
    const std::string where = fmt::format("{}:{}", where_, number);
    if (line.empty()) fail_input(where, "is blank, expected a JSON object with the key '{}'", columns_[0]);
    const json::value value = parse_json(line, where);
    const JsonObject object(value, where);
    if (messages_ && columns_[0] != "messages" && object.has("messages")) {
      if (!object.has(columns_[0])) return {{}, {}, number, messages_of(object)};
      fail_input(where, "has both '{}' and 'messages', expected one of them", columns_[0]);
    }
    for (const std::string& column : columns_) {
      if (object.object().contains(column)) continue;
      std::vector<std::string_view> keys;
      for (const auto& item : object.object()) keys.emplace_back(item.key());
      fail_input(where, "has no key '{}'{}, got: {}; name one with --text-column", column, messages_ ? " or 'messages'" : "",
                 fmt::join(keys, ", "));
    }
    InputRow row{object.get_string(columns_[0]), {}, number};
    for (size_t i = 1; i < columns_.size(); ++i) row.fields.push_back(object.get_string(columns_[i]));
    return row;
  }

  static json::array messages_of(const JsonObject& object) {
    const json::array& messages = object.get_array("messages");
    if (messages.empty()) fail_input(object.where(), "messages is empty, expected at least one");
    for (const json::value& item : messages) {
      const JsonObject message(item, object.where() + ": messages");
      message.get_string("role");
      message.get_string("content");
    }
    return messages;
  }

  std::string where_;
  std::vector<std::string> columns_;
  bool messages_;
  LineSplitter splitter_;
};

class CsvParser : public RowParser {
 public:
  CsvParser(std::string where, std::vector<std::string> columns, char separator)
      : where_(std::move(where)), columns_(std::move(columns)), separator_(separator) {}

  void feed(std::string_view bytes, std::vector<InputRow>& rows) override {
    for (const char c : bytes) {
      if (mark_ < kByteOrderMark.size()) {
        if (c == kByteOrderMark[mark_]) {
          ++mark_;
          continue;
        }
        take_back_mark(rows);
      }
      take_counted(c, rows);
    }
  }

  void end(std::vector<InputRow>& rows) override {
    if (mark_ < kByteOrderMark.size()) take_back_mark(rows);
    if (state_ == State::kQuoted) {
      fail_input(where_, "line {}: a quoted field is not closed before the end of the file", record_line_);
    }
    if (record_bytes_ > 0) finish_record(rows);
    if (!has_header_) fail_input(where_, "is empty, expected a header line with the column '{}'", columns_[0]);
  }

 private:
  enum class State { kFieldStart, kUnquoted, kQuoted, kAfterQuote };

  // The first bytes were not a byte order mark after all.
  void take_back_mark(std::vector<InputRow>& rows) {
    const size_t seen = std::exchange(mark_, kByteOrderMark.size());
    for (const char c : kByteOrderMark.substr(0, seen)) take_counted(c, rows);
  }

  void take_counted(char c, std::vector<InputRow>& rows) {
    take(c, rows);
    if (++record_bytes_ > kMaxRowBytes) fail_too_long(where_, record_line_);
  }

  void take(char c, std::vector<InputRow>& rows) {
    if (c == '\n') ++line_;
    if (state_ == State::kQuoted) {
      if (c == '"') {
        state_ = State::kAfterQuote;
      } else {
        field_ += c;
      }
      return;
    }
    if (state_ == State::kFieldStart && c == '"') {
      state_ = State::kQuoted;
      return;
    }
    if (state_ == State::kAfterQuote && c == '"') {
      field_ += c;
      state_ = State::kQuoted;
      return;
    }
    if (c == separator_) {
      finish_field();
    } else if (c == '\n') {
      // The '\r' of a line end: part of the field where that was not quoted, seen apart where it was.
      if (state_ == State::kUnquoted && field_.back() == '\r') field_.pop_back();
      finish_record(rows);
    } else if (state_ == State::kAfterQuote) {
      if (c != '\r' || carriage_) {
        fail_input(where_, "line {}: text after the closing quote of a field, expected '{}' or the line's end", line_,
                   separator_ == '\t' ? "\\t" : ",");
      }
      carriage_ = true;
      return;
    } else {
      field_ += c;
      state_ = State::kUnquoted;
    }
    carriage_ = false;
  }

  void finish_field() {
    if (carriage_) fail_input(where_, "line {}: text after the closing quote of a field", line_);
    fields_.push_back(std::move(field_));
    field_.clear();
    state_ = State::kFieldStart;
  }

  void finish_record(std::vector<InputRow>& rows) {
    carriage_ = false;
    finish_field();
    record_bytes_ = static_cast<size_t>(-1);  // the '\n' being taken makes it 0
    if (!has_header_) {
      read_header();
    } else {
      if (fields_.size() != width_) {
        fail_input(where_, "line {}: got {} fields, expected {} as in the header", record_line_, fields_.size(), width_);
      }
      InputRow row{std::move(fields_[indices_[0]]), {}, record_line_};
      for (size_t i = 1; i < indices_.size(); ++i) row.fields.push_back(fields_[indices_[i]]);
      rows.push_back(std::move(row));
    }
    fields_.clear();
    record_line_ = line_;
  }

  void read_header() {
    has_header_ = true;
    width_ = fields_.size();
    for (const std::string& column : columns_) {
      const auto found = std::find(fields_.begin(), fields_.end(), column);
      if (found == fields_.end()) {
        fail_input(where_, "has no column '{}', got: {}; name one with --text-column", column,
                   fmt::join(fields_.begin(), fields_.begin() + std::min<ptrdiff_t>(std::ssize(fields_), 20), ", "));
      }
      indices_.push_back(static_cast<size_t>(found - fields_.begin()));
    }
  }

  std::string where_;
  std::vector<std::string> columns_;
  char separator_;
  State state_ = State::kFieldStart;
  bool carriage_ = false;  // a '\r' stands after a closing quote
  bool has_header_ = false;
  size_t width_ = 0;
  std::vector<size_t> indices_;
  std::vector<std::string> fields_;
  std::string field_;
  size_t mark_ = 0;  // bytes of a byte order mark seen at the beginning
  size_t record_bytes_ = 0;
  uint64_t line_ = 1;
  uint64_t record_line_ = 1;
};

}  // namespace

std::unique_ptr<RowParser> make_line_parser(std::string where) { return std::make_unique<LineParser>(std::move(where)); }

std::unique_ptr<RowParser> make_jsonl_parser(std::string where, std::vector<std::string> columns, bool messages) {
  return std::make_unique<JsonlParser>(std::move(where), std::move(columns), messages);
}

std::unique_ptr<RowParser> make_csv_parser(std::string where, std::vector<std::string> columns, char separator) {
  return std::make_unique<CsvParser>(std::move(where), std::move(columns), separator);
}

}  // namespace citius::cli
