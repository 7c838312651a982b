#include "eval/trace.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace citius {
namespace {

constexpr int64_t kMostTokens = int64_t{1} << 24;  // of a prompt or reply; a larger number is damage

// Calls `visit` with the number of every line that is not empty, until it returns false.
void each_line(std::string_view text, const std::function<bool(int64_t number, std::string_view line)>& visit) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  int64_t number = 1;
  for (size_t begin = 0; begin < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty() && !visit(number, line)) return;
    begin = end + 1;
  }
}

std::optional<int64_t> parse_digits(std::string_view text) {
  int64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || text[0] == '-' || error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

// Seconds since 1970 of "2023-11-16 18:15:46.6805900", with or without a fraction and "+00:00".
std::optional<double> parse_time(std::string_view text) {
  if (text.ends_with("+00:00")) text.remove_suffix(6);
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || (text[10] != ' ' && text[10] != 'T') || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  const auto year = parse_digits(text.substr(0, 4)), month = parse_digits(text.substr(5, 2)), day = parse_digits(text.substr(8, 2));
  const auto hour = parse_digits(text.substr(11, 2)), minute = parse_digits(text.substr(14, 2)), second = parse_digits(text.substr(17, 2));
  if (!year || !month || !day || !hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return std::nullopt;
  double fraction = 0;
  if (const std::string_view rest = text.substr(19); !rest.empty()) {
    const auto digits = parse_digits(rest.substr(1));
    if (rest[0] != '.' || !digits) return std::nullopt;
    fraction = static_cast<double>(*digits) / std::pow(10.0, static_cast<double>(rest.size() - 1));
  }
  const auto days = std::chrono::sys_days(date).time_since_epoch().count();
  return static_cast<double>(days * 86400 + *hour * 3600 + *minute * 60 + *second) + fraction;
}

constexpr std::string_view kAzureHeader = "TIMESTAMP,ContextTokens,GeneratedTokens";

void check_tokens(int64_t tokens, const char* what, const std::string& where) {
  if (tokens < 1 || tokens > kMostTokens) fail_input(where, "got {} {}, expected 1 to {}", tokens, what, kMostTokens);
}

// Entries in their order; times become those since the first.
class TraceBuilder {
 public:
  TraceBuilder(std::string where, int64_t limit) : where_(std::move(where)), limit_(limit) {}

  bool is_full() const { return limit_ > 0 && std::ssize(entries_) >= limit_; }
  void add(TraceEntry entry, double time_s, const std::string& where) {
    check_tokens(entry.prompt_tokens, "tokens of a prompt", where);
    check_tokens(entry.reply_tokens, "tokens of a reply", where);
    if (!std::isfinite(time_s)) fail_input(where, "got the time {}, expected a number that a double holds", time_s);
    if (entries_.empty()) first_s_ = time_s;
    entry.arrival_s = time_s - first_s_;
    if (!entries_.empty() && entry.arrival_s < entries_.back().arrival_s) {
      fail_input(where, "comes {:.3f} s before the request above it, expected requests in the order of time",
                 entries_.back().arrival_s - entry.arrival_s);
    }
    entries_.push_back(std::move(entry));
  }
  std::vector<TraceEntry> finish() {
    if (entries_.empty()) fail_input(where_, "holds no requests");
    return std::move(entries_);
  }

 private:
  std::string where_;
  int64_t limit_;
  double first_s_ = 0;
  std::vector<TraceEntry> entries_;
};

std::string line_of(const std::string& where, int64_t number) { return fmt::format("{}: line {}", where, number); }

}  // namespace

std::vector<TraceEntry> parse_azure_trace(std::string_view text, const std::string& where, int64_t limit) {
  TraceBuilder builder(where, limit);
  bool header = false;
  each_line(text, [&](int64_t number, std::string_view line) {
    const std::string place = line_of(where, number);
    if (!header) {
      if (line != kAzureHeader) fail_input(place, "got '{}', expected the header {}", line.substr(0, 100), kAzureHeader);
      header = true;
      return true;
    }
    const size_t first = std::min(line.find(','), line.size()), last = std::min(line.rfind(','), line.size());
    const auto time = parse_time(line.substr(0, first));
    const auto prompt = parse_digits(first < last ? line.substr(first + 1, last - first - 1) : "");
    const auto reply = parse_digits(first < last ? line.substr(last + 1) : "");
    if (!time || !prompt || !reply) {
      fail_input(place, "got '{}', expected a time as 2023-11-16 18:15:46.68, tokens of the prompt, tokens of the reply",
                 line.substr(0, 100));
    }
    builder.add({0, *prompt, *reply, {}}, *time, place);
    return !builder.is_full();
  });
  return builder.finish();
}

std::vector<TraceEntry> parse_mooncake_trace(std::string_view text, const std::string& where, int64_t limit) {
  TraceBuilder builder(where, limit);
  each_line(text, [&](int64_t number, std::string_view line) {
    const std::string place = line_of(where, number);
    const json::value value = parse_json(line, place);
    const JsonObject object(value, place);
    TraceEntry entry{0, object.get_int("input_length"), object.get_int("output_length"), {}};
    check_tokens(entry.prompt_tokens, "tokens of a prompt", place);
    for (const json::value& block : object.get_array("hash_ids")) {
      if (!block.is_int64() || block.get_int64() < 0) fail_input(place, "hash_ids: got {}, expected 0 or more", json::serialize(block));
      entry.blocks.push_back(static_cast<uint64_t>(block.get_int64()));
    }
    const int64_t blocks = (entry.prompt_tokens + kTraceBlock - 1) / kTraceBlock;
    if (std::ssize(entry.blocks) != blocks) {
      fail_input(place, "got {} hash_ids for {} tokens, expected {}, one for {} tokens", entry.blocks.size(), entry.prompt_tokens, blocks,
                 kTraceBlock);
    }
    builder.add(std::move(entry), object.get_number("timestamp") / 1e3, place);
    return !builder.is_full();
  });
  return builder.finish();
}

std::vector<TraceEntry> read_trace(const std::string& path, int64_t limit) {
  const std::string ending = lower_extension(path);
  if (ending != ".csv" && ending != ".jsonl") {
    fail(ErrorKind::kUsage, "--trace", "got '{}', expected a name ending in .csv (Azure) or .jsonl (Mooncake)", path);
  }
  const MappedFile file(path);
  return ending == ".csv" ? parse_azure_trace(file.text(), path, limit) : parse_mooncake_trace(file.text(), path, limit);
}

int64_t count_requests(std::string_view text) {
  int64_t requests = 0;
  each_line(text, [&](int64_t, std::string_view line) {
    requests += line == kAzureHeader ? 0 : 1;
    return true;
  });
  return requests;
}

int64_t count_requests_of(const std::string& path) { return count_requests(MappedFile(path).text()); }

double length_scale(const std::vector<TraceEntry>& trace, int64_t context) {
  int64_t longest = 1;
  for (const TraceEntry& entry : trace) longest = std::max(longest, entry.prompt_tokens + entry.reply_tokens);
  return std::min(1.0, static_cast<double>(context) / static_cast<double>(longest));
}

std::vector<LoadRequest> scale_trace(const std::vector<TraceEntry>& trace, double scale, double speedup) {
  const auto scaled = [scale](int64_t tokens) { return static_cast<int64_t>(static_cast<double>(tokens) * scale); };
  constexpr uint64_t kOwn = uint64_t{1} << 63;  // beyond every name of a block
  std::vector<LoadRequest> requests;
  for (const TraceEntry& entry : trace) {
    LoadRequest request;
    request.arrival_s = entry.arrival_s / speedup;
    request.reply_tokens = std::max<int64_t>(1, scaled(entry.reply_tokens));
    const int64_t length = std::max<int64_t>(1, scaled(entry.prompt_tokens));
    if (entry.blocks.empty()) request.prompt.push_back({kOwn + requests.size(), length});
    for (size_t i = 0; i < entry.blocks.size(); ++i) {
      // Where a block ends depends on its place alone, so that equal beginnings stay equal.
      const int64_t begin = scaled(static_cast<int64_t>(i) * kTraceBlock), end = scaled(static_cast<int64_t>(i + 1) * kTraceBlock);
      const bool is_last = i + 1 == entry.blocks.size();
      const int64_t stop = is_last ? length : std::min(end, length);
      if (stop > begin) request.prompt.push_back({entry.blocks[i], stop - begin});
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

}  // namespace citius
