// Request traces: both forms, what is damaged, and scaling.
#include "eval/trace.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <functional>

#include "base/error.h"

namespace citius {
namespace {

using ::testing::HasSubstr;

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "no error";
}

const std::string kHeader = "TIMESTAMP,ContextTokens,GeneratedTokens\n";

TEST(AzureTrace, TimesSinceTheFirstAndLengths) {
  const auto trace = parse_azure_trace("\xEF\xBB\xBF" + kHeader +
                                           "2023-12-31 23:59:59.5000000,374,44\r\n\n2024-01-01 00:00:01,396,109\n"
                                           "2024-03-01 00:00:01.25+00:00,7,1",
                                       "x.csv");
  ASSERT_EQ(trace.size(), 3);
  EXPECT_EQ(trace[0].arrival_s, 0);
  EXPECT_NEAR(trace[1].arrival_s, 1.5, 1e-6);
  EXPECT_NEAR(trace[2].arrival_s, 1.75 + 60 * 86400, 1e-6);  // 2024 is a leap year
  EXPECT_EQ(trace[1].prompt_tokens, 396);
  EXPECT_EQ(trace[1].reply_tokens, 109);
  EXPECT_TRUE(trace[1].blocks.empty());
}

TEST(AzureTrace, DamageIsRefusedWithItsLine) {
  const std::string good = "2023-11-16 18:15:46.68,374,44\n";
  for (const char* bad :
       {"2023-11-16 18:15:47.68,374", "2023-11-16 18:15:47.68,374,44,1", "2023-11-16 18:15:47.68,,44", "2023-11-16 18:15:47.68,3x,44",
        "2023-11-16 18:15:47.68,-3,44", "2023-11-16 18:15:47.68,0,44", "2023-11-16 18:15:47.68,374,0", "2023-11-16 18:15:47.68,16777217,1",
        "2023-02-30 18:15:47.68,374,44", "2023-13-16 18:15:47.68,374,44", "2023-11-16 24:15:47.68,374,44", "2023-11-16 18:15:47.,374,44",
        "2023-11-16 18:15,374,44", "soon,374,44", "2023-11-16 18:15:47.68,99999999999999999999,44", "2023-11-16 18:15:46.67,374,44",
        "nonsense", ",", "2023-11-16 18:15:47x68,374,44"}) {
    const std::string message = error_of([&] { parse_azure_trace(kHeader + good + bad + "\n" + good, "x.csv"); });
    EXPECT_THAT(message, HasSubstr("x.csv: line 3")) << bad;
    // A damaged line behind the limit is not looked at.
    EXPECT_EQ(parse_azure_trace(kHeader + good + bad, "x.csv", 1).size(), 1);
  }
  EXPECT_THAT(error_of([&] { parse_azure_trace(good, "x.csv"); }), HasSubstr("line 1"));
  EXPECT_THAT(error_of([&] { parse_azure_trace(kHeader, "x.csv"); }), HasSubstr("no requests"));
  EXPECT_THAT(error_of([&] { parse_azure_trace("", "x.csv"); }), HasSubstr("no requests"));
}

TEST(Trace, RequestsAreCountedByLines) {
  EXPECT_EQ(count_requests("\xEF\xBB\xBF" + kHeader + "2023-11-16 18:15:46.68,374,44\r\n\nnonsense\n2023-11-16 18:15:47,7,1"), 3);
  EXPECT_EQ(count_requests("{}\n\n{}\n"), 2);
  EXPECT_EQ(count_requests(""), 0);
}

TEST(MooncakeTrace, MillisecondsLengthsAndBlocks) {
  const auto trace = parse_mooncake_trace(R"({"timestamp": 27000, "input_length": 513, "output_length": 5, "hash_ids": [0, 1]}
{"timestamp": 30500, "input_length": 512, "output_length": 7, "hash_ids": [0], "more": "keys"}
)",
                                          "x.jsonl");
  ASSERT_EQ(trace.size(), 2);
  EXPECT_EQ(trace[0].arrival_s, 0);
  EXPECT_DOUBLE_EQ(trace[1].arrival_s, 3.5);
  EXPECT_EQ(trace[0].blocks, (std::vector<uint64_t>{0, 1}));
  EXPECT_EQ(trace[1].prompt_tokens, 512);
  EXPECT_EQ(trace[1].reply_tokens, 7);
}

TEST(MooncakeTrace, DamageIsRefusedWithItsLine) {
  const std::string good = R"({"timestamp": 5, "input_length": 512, "output_length": 7, "hash_ids": [3]})";
  for (const char* bad :
       {R"({"timestamp": 5, "input_length": 512, "output_length": 7, "hash_ids": [3])", R"([1])", "nonsense",
        R"({"timestamp": 5, "input_length": 512, "output_length": 7})", R"({"input_length": 512, "output_length": 7, "hash_ids": [3]})",
        R"({"timestamp": 5, "input_length": 512, "output_length": 7, "hash_ids": [3, 4]})",
        R"({"timestamp": 5, "input_length": 513, "output_length": 7, "hash_ids": [3]})",
        R"({"timestamp": 5, "input_length": 512, "output_length": 7, "hash_ids": [-3]})",
        R"({"timestamp": 5, "input_length": 512, "output_length": 7, "hash_ids": ["3"]})",
        R"({"timestamp": 5, "input_length": "512", "output_length": 7, "hash_ids": [3]})",
        R"({"timestamp": 5, "input_length": 0, "output_length": 7, "hash_ids": []})",
        R"({"timestamp": 5, "input_length": 9223372036854775807, "output_length": 7, "hash_ids": []})",
        R"({"timestamp": 5, "input_length": 512, "output_length": -7, "hash_ids": [3]})",
        R"({"timestamp": 1e400, "input_length": 512, "output_length": 7, "hash_ids": [3]})",
        R"({"timestamp": 4, "input_length": 512, "output_length": 7, "hash_ids": [3]})"}) {
    EXPECT_THAT(error_of([&] { parse_mooncake_trace(good + "\n\n" + bad + "\n" + good, "x.jsonl"); }), HasSubstr("x.jsonl: line 3")) << bad;
    EXPECT_EQ(parse_mooncake_trace(good + "\n" + bad, "x.jsonl", 1).size(), 1);
  }
}

TEST(Trace, TheEndingDecides) {
  EXPECT_THROW(read_trace("trace.txt"), Error);
  EXPECT_THROW(read_trace("/nowhere/trace.csv"), Error);
}

TEST(Trace, LengthsAreScaledToTheContext) {
  std::vector<TraceEntry> trace = {{0, 14000, 384, {}}, {3, 7, 2, {}}, {4, 1000, 999, {}}};
  EXPECT_EQ(length_scale(trace, 1 << 20), 1);
  for (const int64_t context : {2, 3, 64, 1000, 8192, 14383, 14384}) {
    const double scale = length_scale(trace, context);
    const auto requests = scale_trace(trace, scale, 2);
    ASSERT_EQ(requests.size(), 3);
    for (const LoadRequest& request : requests) {
      EXPECT_GE(request.prompt_tokens(), 1);
      EXPECT_GE(request.reply_tokens, 1);
      EXPECT_LE(request.prompt_tokens() + request.reply_tokens, context);
    }
    EXPECT_EQ(requests[1].arrival_s, 1.5);
    EXPECT_GE(requests[0].prompt_tokens() + requests[0].reply_tokens, context - 2);
  }
  // Prompts of which nothing is known share nothing.
  const auto requests = scale_trace(trace, 1, 1);
  EXPECT_NE(requests[0].prompt[0].stream, requests[1].prompt[0].stream);
}

// The first tokens of a request as pairs (stream, index in it).
std::vector<std::pair<uint64_t, int64_t>> tokens_of(const LoadRequest& request) {
  std::vector<std::pair<uint64_t, int64_t>> tokens;
  for (const PromptPart& part : request.prompt) {
    for (int64_t i = 0; i < part.tokens; ++i) tokens.emplace_back(part.stream, i);
  }
  return tokens;
}

TEST(Trace, EqualBlocksAreEqualTokens) {
  const std::vector<TraceEntry> trace = {{0, 1300, 10, {5, 6, 7}}, {0, 2000, 10, {5, 6, 8, 9}}, {0, 600, 20, {5, 6}}};
  for (const double scale : {1.0, 0.31, 0.1, 0.002, 0.0005}) {
    const auto requests = scale_trace(trace, scale, 1);
    const auto a = tokens_of(requests[0]), b = tokens_of(requests[1]), c = tokens_of(requests[2]);
    EXPECT_EQ(std::ssize(a), std::max<int64_t>(1, static_cast<int64_t>(1300 * scale)));
    EXPECT_EQ(std::ssize(b), std::max<int64_t>(1, static_cast<int64_t>(2000 * scale)));
    EXPECT_EQ(std::ssize(c), std::max<int64_t>(1, static_cast<int64_t>(600 * scale)));
    const auto shared = std::min<int64_t>(std::ssize(a), static_cast<int64_t>(1024 * scale));
    EXPECT_TRUE(std::equal(a.begin(), a.begin() + shared, b.begin()));
    EXPECT_TRUE(std::equal(c.begin(), c.begin() + std::min(shared, std::ssize(c)), a.begin()));
    if (std::ssize(a) > shared && shared > 0) {
      EXPECT_NE(a[static_cast<size_t>(shared)], b[static_cast<size_t>(shared)]);
    }
  }
}

}  // namespace
}  // namespace citius
