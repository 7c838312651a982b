#include "cli/outputs.h"

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/check.h"
#include "base/error.h"
#include "base/json_text.h"
#include "base/log.h"

namespace citius::cli {
namespace {

static_assert(std::endian::native == std::endian::little, ".npy files are written in native order, declared '<f4'");

// The header of a .npy file, version 1.0, padded to 128 bytes: the number of rows is known only at the end, and the
// header of the finished file must have the same size.
std::string npy_header(uint64_t rows, size_t columns) {
  std::string dict = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", rows, columns);
  constexpr size_t kPrefix = 10;  // magic, version, length of the rest
  constexpr size_t kSize = 128;
  CHECK(dict.size() + kPrefix < kSize);
  dict.resize(kSize - kPrefix - 1, ' ');
  dict += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(dict.size() & 0xFF);
  header += static_cast<char>(dict.size() >> 8);
  return header + dict;
}

std::string csv_cell(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string cell = "\"";
  for (const char c : text) {
    if (c == '"') cell += '"';
    cell += c;
  }
  return cell + "\"";
}

std::string embedding_text(std::span<const float> embedding) {
  std::string text = "[";
  for (size_t i = 0; i < embedding.size(); ++i) {
    if (i > 0) text += ", ";
    text += json_number(embedding[i]);
  }
  return text + "]";
}

std::string row_text(const OutputRow& row) {
  std::string text = json_text(row.fields);
  if (!row.embedding) return text;
  text.pop_back();
  if (!row.fields.empty()) text += ", ";
  return text + json_quote(row.embedding_key) + ": " + embedding_text(*row.embedding) + "}";
}

}  // namespace

void add_json_option(CLI::App& command, bool& json) {
  command.add_flag("--json", json, "Print JSON on standard output and nothing else there");
}

void add_output_options(CLI::App& command, OutputOptions& options) {
  add_json_option(command, options.json);
  command.add_option("-o,--output", options.output,
                     "Write results to this file, by its ending: .jsonl or .csv (vectors of embed: .npy too)");
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    fail(ErrorKind::kResource, "standard output", "cannot write: {}", std::strerror(errno));
  }
}

void print_json(const json::value& value) { print(json_text(value, /*pretty=*/::isatty(STDOUT_FILENO) == 1) + "\n"); }

Outputs::Outputs(const OutputOptions& options, bool embeddings) : where_(options.output) {
  if (options.output.empty()) {
    form_ = options.json ? Form::kJsonl : Form::kPlain;
    return;
  }
  const std::string ending = lower_extension(options.output);
  if (ending == ".jsonl") {
    form_ = Form::kJsonl;
  } else if (ending == ".csv") {
    form_ = Form::kCsv;
  } else if (ending == ".npy" && embeddings) {
    form_ = Form::kNpy;
  } else {
    fail(ErrorKind::kUsage, "--output", "got '{}', expected a name ending in .jsonl{}", options.output,
         embeddings ? ", .csv or .npy" : " or .csv");
  }
  file_ = std::make_unique<AtomicFile>(options.output);
}

Outputs::~Outputs() = default;

bool Outputs::on_terminal() const { return file_ == nullptr && ::isatty(STDOUT_FILENO) == 1; }

void Outputs::check_apart(const std::string& input) const {
  std::error_code ignored;
  const std::string file = input == "standard input" ? "/dev/stdin" : input;
  if (where_.empty() || !std::filesystem::equivalent(where_, file, ignored)) return;
  fail(ErrorKind::kUsage, "--output", "got '{}', which is the input too; name another file", where_);
}

void Outputs::write(const OutputRow& row) {
  if (form_ == Form::kCsv) {
    write_csv(row);
  } else if (form_ == Form::kNpy) {
    CHECK(row.embedding.has_value());
    write_npy(*row.embedding);
  } else {
    std::string line = form_ == Form::kJsonl ? row_text(row) : std::string(row.plain);
    line += '\n';
    if (file_) {
      file_->write(line);
    } else {
      print(line);
    }
  }
  ++rows_;
}

void Outputs::write_csv(const OutputRow& row) {
  std::string header;
  std::string line;
  const auto add = [&](std::string_view key, const std::string& cell) {
    if (!header.empty()) {
      header += ',';
      line += ',';
    }
    header += csv_cell(key);
    line += csv_cell(cell);
  };
  for (const auto& [key, value] : row.fields) {
    add(key, value.is_string() ? valid_utf8(value.get_string()) : value.is_null() ? "" : json_text(value));
  }
  if (row.embedding) add(row.embedding_key, embedding_text(*row.embedding));
  if (rows_ == 0) {
    header_ = header;
    file_->write(header + "\n");
  } else if (header != header_) {
    fail(ErrorKind::kFailed, where_, "row {} has the columns {}, expected {}; write .jsonl instead", rows_ + 1, header, header_);
  }
  file_->write(line + "\n");
}

void Outputs::write_npy(std::span<const float> embedding) {
  if (!width_) {
    width_ = embedding.size();
    file_->write(npy_header(0, *width_));
  }
  CHECK(embedding.size() == *width_);
  file_->write(embedding.data(), embedding.size_bytes());
}

void Outputs::finish() {
  if (!file_) return;
  if (form_ == Form::kNpy) {
    if (width_) {
      file_->overwrite(0, npy_header(rows_, *width_));
    } else {
      file_->write(npy_header(0, width_hint_));
    }
  }
  if (form_ == Form::kCsv && rows_ == 0) log_note("{} is empty: there were no rows, and the columns are those of the first", where_);
  file_->commit();
}

}  // namespace citius::cli
