// Whole files of text, for commands that judge by them.
#pragma once

#include <string>
#include <vector>

namespace citius::cli {

/// The texts of a .jsonl, .csv or .tsv file (`column`; empty: "text"), or else the whole file as one text (`whole`), or
/// a text a line without the empty ones. Throws Error{kInput}, Error{kUsage} for a column of
/// what has none.
std::vector<std::string> read_texts(const std::string& path, const std::string& column, bool whole);

/// A whole file as one text, standard input where `path` is "-". Throws Error{kInput}, also for forms that are no text.
std::string read_text(const std::string& path);

/// Whether the ending says .jsonl, .csv or .tsv.
bool is_table(const std::string& path);

}  // namespace citius::cli
