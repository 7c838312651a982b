#include "runtime/sampler.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/json.h"

namespace citius {
namespace {

std::vector<int32_t> ids(const json::value& array) {
  std::vector<int32_t> result;
  for (const json::value& item : array.as_array()) result.push_back(static_cast<int32_t>(item.to_number<int64_t>()));
  return result;
}

SamplingOptions options_of(const JsonObject& json) {
  SamplingOptions options;
  options.temperature = json.get_number("temperature");
  options.top_k = json.get_int("top_k", 0);
  options.top_p = json.get_number("top_p", 1);
  options.min_p = json.get_number("min_p", 0);
  options.typical_p = json.get_number("typical_p", 1);
  options.repetition_penalty = json.get_number("repetition_penalty", 1);
  if (json.has("banned")) {
    for (const json::value& words : json.get_array("banned")) options.banned.push_back(ids(words));
  }
  if (json.has("logit_bias")) {
    for (const auto& [token, bias] : json.get_object("logit_bias").object()) {
      options.logit_bias[std::stoi(std::string(token))] = bias.to_number<double>();
    }
  }
  return options;
}

TEST(Sampler, DistributionsEqualThoseOfTransformers) {
  const json::value cases = read_json(std::string(CITIUS_TEST_DIR) + "/golden/runtime/sampling.json");
  for (const json::value& item : cases.as_array()) {
    const JsonObject json(item, "case");
    std::vector<float> logits;
    for (const json::value& x : json.get_array("logits")) logits.push_back(static_cast<float>(x.to_number<double>()));
    const SamplingOptions options = options_of(json.get_object("options"));
    const auto processed = process_logits(options, logits, ids(json.at("prompt")), ids(json.at("reply")));
    const auto distribution = sampling_distribution(options, processed);
    const json::object& kept = json.get_object("kept").object();
    ASSERT_EQ(distribution.size(), kept.size()) << json::serialize(item);
    for (const auto& [token, probability] : distribution) {
      // The referee works in fp32: logits near 10 carry 5e-7 each, which is the relative error of a probability.
      const double expected = kept.at(std::to_string(token)).to_number<double>();
      EXPECT_NEAR(probability / expected, 1.0, 5e-6) << token;
    }
  }
}

TEST(Sampler, FrequenciesFollowTheDistribution) {
  const std::vector<float> logits = {0.0f, std::log(2.0f), std::log(5.0f)};
  SamplingOptions options;
  options.temperature = 1;
  std::vector<int> counts(3);
  constexpr int kDraws = 16000;
  for (int draw = 0; draw < kDraws; ++draw) {
    options.seed = static_cast<uint64_t>(draw);
    ++counts[static_cast<size_t>(sample(options, logits, {}, {}))];
  }
  // Five standard deviations of a binomial share.
  for (size_t i = 0; i < 3; ++i) {
    const double p = std::array{0.125, 0.25, 0.625}[i];
    EXPECT_NEAR(counts[i] / double{kDraws}, p, 5 * std::sqrt(p * (1 - p) / kDraws));
  }
}

TEST(Sampler, RandomNumberDependsOnSeedAndPlaceAlone) {
  std::vector<float> logits(1000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(std::sin(static_cast<double>(i)));
  SamplingOptions options;
  options.temperature = 1;
  options.seed = 7;
  const std::vector<int32_t> reply = {1, 2, 3}, other = {4, 5, 6};
  EXPECT_EQ(sample(options, logits, {}, reply), sample(options, logits, {}, other));
  int different = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    options.seed = seed;
    different += sample(options, logits, {}, reply) != sample(options, logits, {}, {});
  }
  EXPECT_GT(different, 10);
}

TEST(Sampler, ForcedBeginningAndTies) {
  const std::vector<float> logits = {1, 3, 3, 0};
  SamplingOptions options;
  EXPECT_EQ(sample(options, logits, {}, {}), 1);  // lower id
  options.forced = {3, 0};
  EXPECT_EQ(sample(options, logits, {}, {}), 3);
  EXPECT_EQ(sample(options, logits, {}, std::vector<int32_t>{3}), 0);
  EXPECT_EQ(sample(options, logits, {}, std::vector<int32_t>{3, 0}), 1);
}

TEST(Sampler, FrequencyAndPresencePenaltiesCountTheReplyOnly) {
  const std::vector<float> logits = {1, 2, 3};
  SamplingOptions options;
  options.presence_penalty = 0.5;
  options.frequency_penalty = 0.25;
  const std::vector<int32_t> prompt = {0, 0}, reply = {2, 2, 1};
  EXPECT_EQ(process_logits(options, logits, prompt, reply), (std::vector<float>{1, 1.25f, 2}));
}

TEST(Sampler, BannedWordsMatchAcrossTheBorderOfPromptAndReply) {
  SamplingOptions options;
  options.banned = {{5, 6, 1}};
  const std::vector<float> logits{1, 2};
  const std::vector<int32_t> five{9, 5}, six{6}, both{5, 6};
  EXPECT_EQ(sample(options, logits, five, six), 0);
  EXPECT_EQ(sample(options, logits, both, {}), 0);
  EXPECT_EQ(sample(options, logits, six, five), 1);
}

TEST(Sampler, TheSmallestTemperatureIsGreedyAndTheLargestNumbersAreRefused) {
  const std::vector<float> logits{1, 3, 2};
  SamplingOptions options;
  options.temperature = 1e-310;
  EXPECT_EQ(sample(options, logits, {}, {}), 1);
  options.temperature = 1;
  options.logit_bias = {{2, 1e300}};
  EXPECT_THROW(check_sampling(options), Error);
  options.logit_bias.clear();
  options.repetition_penalty = 1e-300;
  EXPECT_THROW(check_sampling(options), Error);
}

TEST(Sampler, EverythingBannedIsAnError) {
  SamplingOptions options;
  options.banned = {{0}, {1}};
  EXPECT_THROW(sample(options, std::vector<float>{1, 2}, {}, {}), Error);
}

TEST(Sampler, RefusesOptionsOutOfRange) {
  SamplingOptions options;
  options.top_p = 0;
  EXPECT_THROW(check_sampling(options), Error);
  options = {};
  options.temperature = -1;
  EXPECT_THROW(check_sampling(options), Error);
}

TEST(Sampler, TopLogProbabilities) {
  const std::vector<float> logits = {0, 2, 1, 2};
  const auto top = top_log_probabilities(logits, 3);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].first, 1);
  EXPECT_EQ(top[1].first, 3);
  EXPECT_EQ(top[2].first, 2);
  const double total = std::log(1 + 2 * std::exp(2.0) + std::exp(1.0));
  EXPECT_NEAR(top[0].second, 2 - total, 1e-12);
  EXPECT_NEAR(log_probability(logits, 0), -total, 1e-12);
}

}  // namespace
}  // namespace citius
