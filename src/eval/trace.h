// Request traces: when requests came, how long prompts and replies were, and which prompts began alike. Azure's public
// traces (CSV: TIMESTAMP,ContextTokens,GeneratedTokens) and Mooncake's (JSON lines with hashes of blocks of 512 tokens).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "eval/load.h"

namespace citius {

struct TraceEntry {
  double arrival_s = 0;  // since the first request
  int64_t prompt_tokens = 0;
  int64_t reply_tokens = 0;
  std::vector<uint64_t> blocks;  // Mooncake: names of the prompt's blocks of kTraceBlock tokens, the last may be partial
};
inline constexpr int64_t kTraceBlock = 512;

/// The first `limit` requests (0: all). `where` is named in errors. Empty lines and a byte order mark are skipped; a damaged line, or one
/// that lies before the line before it in time, throws Error{kInput} with its number, and so does a trace without requests.
std::vector<TraceEntry> parse_azure_trace(std::string_view text, const std::string& where, int64_t limit = 0);
std::vector<TraceEntry> parse_mooncake_trace(std::string_view text, const std::string& where, int64_t limit = 0);
/// By the file's ending: .csv or .jsonl.
std::vector<TraceEntry> read_trace(const std::string& path, int64_t limit = 0);

/// How many requests a trace of either form holds, by its lines: those that are not empty, without a header. None is checked.
int64_t count_requests(std::string_view text);
int64_t count_requests_of(const std::string& path);

/// The factor (1 at most) by which lengths must be multiplied so that the longest prompt with its reply has `context` tokens.
double length_scale(const std::vector<TraceEntry>& trace, int64_t context);

/// The requests with their lengths scaled (rounded down, 1 at least) and time `speedup` times as fast. A block of the
/// trace is a stream of tokens (`scale` times 512 of them), so that prompts share what they shared; prompts without blocks share nothing.
std::vector<LoadRequest> scale_trace(const std::vector<TraceEntry>& trace, double scale, double speedup);

}  // namespace citius
