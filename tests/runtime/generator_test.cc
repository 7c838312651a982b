// Requests together, in little room and with prompts that begin alike, give what each gives alone.
#include "runtime/generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/tiny_model.h"

namespace citius {
namespace {

Engine tiny_engine(int64_t context = 0) {
  EngineOptions options;
  options.num_threads = 2;
  options.context = context;
  return open_engine(test::tiny_llama(), options);
}

std::vector<GenerationRequest> requests() {
  std::vector<GenerationRequest> list;
  for (int32_t i = 0; i < 8; ++i) {
    GenerationRequest request;
    for (int32_t t = 0; t < 90 + 7 * i; ++t) request.prompt.push_back(t < 70 ? t * 5 % 96 : (t * 7 + i) % 96);
    request.max_tokens = 140;
    request.sampling.temperature = 1;
    request.sampling.seed = static_cast<uint64_t>(i);
    request.prompt_logprobs = i == 3;
    request.logprobs = 1;
    list.push_back(request);
  }
  return list;
}

void expect_same(const std::vector<TokenLogprobs>& a, const std::vector<TokenLogprobs>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].token, b[i].token);
    EXPECT_EQ(a[i].logprob, b[i].logprob);
    EXPECT_EQ(a[i].top, b[i].top);
  }
}

TEST(Generator, WhatARequestGivesDoesNotDependOnTheOthers) {
  Engine engine = tiny_engine();
  GeneratorOptions options;
  options.prefill_chunk = 48;
  options.kv_tokens = 6 * kKvBlock;  // two or three sequences: the others wait or are computed anew
  Generator together(engine, options);
  const std::vector<GenerationRequest> all = requests();
  const std::vector<GenerationResult> results = together.generate(all);
  EXPECT_GT(together.counters().preemptions, 0);
  EXPECT_GT(together.counters().reused_tokens, 0);
  Engine other = tiny_engine();
  for (size_t i = 0; i < all.size(); ++i) {
    Generator alone(other, {});
    const GenerationResult result = alone.generate({&all[i], 1})[0];
    EXPECT_EQ(results[i].tokens, result.tokens);
    EXPECT_EQ(results[i].finish_reason, "length");
    expect_same(results[i].logprobs, result.logprobs);
    expect_same(results[i].prompt_logprobs, result.prompt_logprobs);
    EXPECT_EQ(result.prompt_logprobs.empty(), i != 3);
    EXPECT_EQ(alone.counters().preemptions, 0);
  }
}

TEST(Generator, APromptThatWasSeenIsNotComputedAgain) {
  Engine engine = tiny_engine();
  Generator generator(engine, {});
  const GenerationRequest request = requests()[0];
  const GenerationResult first = generator.generate({&request, 1})[0];
  const int64_t fed = generator.counters().tokens;
  const GenerationResult again = generator.generate({&request, 1})[0];
  EXPECT_EQ(generator.counters().reused_tokens, kKvBlock);
  EXPECT_EQ(generator.counters().tokens - fed, fed - kKvBlock);
  EXPECT_EQ(first.tokens, again.tokens);
  expect_same(first.logprobs, again.logprobs);
}

TEST(Generator, HasRoomForWhatTheContextAskedForTakes) {
  Engine engine = tiny_engine(/*context=*/70);
  const ModelConfig& config = engine.model().config();
  const auto block = static_cast<size_t>(config.num_layers * 2 * config.kv_heads * config.head_dim * 4 * kKvBlock);
  EXPECT_EQ(Generator(engine).decoder().kv_bytes(), 2 * block);
  EXPECT_EQ(Generator(engine, {.sequences = 3}).decoder().kv_bytes(), 6 * block);
  Engine other = tiny_engine();
  EXPECT_GE(Generator(other).decoder().kv_bytes(), 4096 / kKvBlock * block);
}

TEST(Generator, OneThatFailsTakesNoTokenFromTheOthers) {
  Engine engine = open_engine(CITIUS_TEST_DIR "/golden/generate");
  Generator generator(engine);
  // Two batches of logits, in each of which one request may not go on after its first token.
  constexpr size_t kCount = 2 * Generator::kLogitRows;
  std::vector<GenerationRequest> list(kCount);
  for (size_t i = 0; i < kCount; ++i) {
    list[i].prompt = {5, 9, static_cast<int32_t>(10 + i)};
    list[i].max_tokens = 2;
    list[i].sampling.forced = {33, 34};
  }
  const std::vector<GenerationResult> whole = generator.generate(list);
  for (const size_t i : {size_t{3}, kCount - 3}) {
    list[i].max_tokens = 9;
    list[i].sampling.forced = {33};
    for (int32_t id = 0; id < generator.decoder().vocab_size(); ++id) list[i].sampling.banned.push_back({33, id});
  }
  std::vector<std::string> texts(kCount);
  const auto generate = [&] {
    generator.generate(list, [&](size_t i, const std::string& piece) {
      texts[i] += piece;
      return true;
    });
  };
  EXPECT_THAT(generate, testing::ThrowsMessage<Error>(testing::HasSubstr("every token is banned")));
  for (size_t i = 0; i < kCount; ++i) {
    const std::string first = whole[i].text.substr(0, 1);
    EXPECT_EQ(texts[i], list[i].max_tokens == 2 ? whole[i].text : first) << i;
  }
  // Nothing of them is left.
  EXPECT_EQ(generator.generate({&list[0], 1})[0].text, whole[0].text);
}

GenerationRequest beam_request(int64_t beams) {
  GenerationRequest request = requests()[0];
  request.sampling = {};
  request.max_tokens = 40;
  request.num_beams = beams;
  request.prompt_logprobs = true;
  return request;
}

TEST(BeamSearch, MakesTheRoomItNeeds) {
  Engine engine = tiny_engine();
  GeneratorOptions options;
  options.kv_tokens = 4 * kKvBlock;
  Generator little(engine, options);
  const GenerationRequest beams = beam_request(7), greedy = beam_request(1);
  const GenerationResult before = little.generate({&greedy, 1})[0];
  const GenerationResult result = little.generate({&beams, 1})[0];
  Engine other = tiny_engine();
  options.kv_tokens = 256 * kKvBlock;
  Generator large(other, options);
  const GenerationResult expected = large.generate({&beams, 1})[0];
  EXPECT_FALSE(result.tokens.empty());
  EXPECT_EQ(result.tokens, expected.tokens);
  expect_same(result.logprobs, expected.logprobs);
  EXPECT_EQ(little.decoder().blocks().num_free(), little.decoder().blocks().num_blocks());
  // What memory cannot hold is refused before anything runs, and what was there stays usable.
  const GenerationRequest many = beam_request(10'000'000);
  const int64_t steps = little.counters().steps;
  EXPECT_THAT([&] { little.generate({&many, 1}); }, testing::ThrowsMessage<Error>(testing::HasSubstr("beams")));
  EXPECT_EQ(little.counters().steps, steps);
  EXPECT_EQ(little.generate({&greedy, 1})[0].tokens, before.tokens);
}

// tests/golden/generate/make.py: so many end tokens that most candidates of a step end their reply.
TEST(BeamSearch, LeavesABeamForEachWhateverEnds) {
  const std::filesystem::path golden = CITIUS_TEST_DIR "/golden/generate";
  const json::value document = read_json(golden / "expected_ends.json");
  const JsonObject expected(document, "expected_ends.json");
  Checkpoint checkpoint = open_checkpoint(golden);
  checkpoint.generation_config["eos_token_id"] = expected.at("ends");
  EngineOptions options;
  options.compute = Compute::kExact;
  Engine engine = open_engine(std::move(checkpoint), options);
  Generator generator(engine);
  for (const json::value& item : expected.get_array("replies")) {
    GenerationRequest request;
    request.prompt = json::value_to<std::vector<int32_t>>(item.at("prompt"));
    request.max_tokens = expected.get_int("max_tokens");
    request.num_beams = item.at("beams").to_number<int64_t>();
    request.length_penalty = expected.get_number("length_penalty");
    EXPECT_EQ(generator.generate({&request, 1})[0].tokens, json::value_to<std::vector<int32_t>>(item.at("tokens")));
  }
}

}  // namespace
}  // namespace citius
