// Scoring of a tiny random model on the reference backend: perplexity against logits computed apart, and a model against
// itself.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "eval/perplexity.h"
#include "eval/quality.h"
#include "eval/random_weights.h"
#include "eval/work.h"
#include "runtime/sampler.h"
#include "support/tiny_model.h"

namespace citius {
namespace {

json::object llama_config(bool tied = true, int64_t vocab = 48) {
  return {{"model_type", "llama"},    {"hidden_size", 32},        {"intermediate_size", 64},    {"num_hidden_layers", 2},
          {"num_attention_heads", 4}, {"num_key_value_heads", 2}, {"vocab_size", vocab},        {"max_position_embeddings", 128},
          {"rms_norm_eps", 1e-5},     {"hidden_act", "silu"},     {"tie_word_embeddings", tied}};
}

Engine open_random(uint64_t seed, FormatPolicy policy = {}, bool tied = true) {
  Checkpoint checkpoint;
  checkpoint.path = "random";
  checkpoint.config = llama_config(tied);
  checkpoint.weights = random_weights(checkpoint.config, "random", seed);
  EngineOptions options;
  options.backend = "ref";
  options.num_threads = 2;
  options.policy = std::move(policy);
  return open_engine(std::move(checkpoint), options);
}

std::vector<ScoredSequence> sequences() {
  std::vector<ScoredSequence> result;
  for (int32_t i = 0; i < 4; ++i) {
    ScoredSequence sequence;
    for (int32_t t = 0; t < 70 + i; ++t) sequence.tokens.push_back((t * 7 + i * 13 + t * t) % 48);
    sequence.first_scored = 1 + 2 * i;
    result.push_back(sequence);
  }
  return result;
}

// In less memory than all at once, and the same to the bit.
TEST(LanguageModel, FeedsLongSequencesInChunks) {
  EngineOptions options;
  options.num_threads = 1;
  options.policy = [](const WeightRecord&) { return Format::kInt8; };
  Engine engine = open_engine(test::tiny_llama(), options), apart = open_engine(test::tiny_llama(), options);
  ScoredSequence sequence;
  sequence.tokens = test::random_ids(1001, 96, 7);
  sequence.first_scored = 300;
  LanguageModel model(engine, std::ssize(sequence.tokens));
  const HiddenRows hidden = model.run(sequence);
  Decoder decoder(apart, std::ssize(sequence.tokens));
  const Decoder::Step step{decoder.create(), std::span(sequence.tokens).first(1000)};
  const TensorView whole = decoder.forward({&step, 1});
  ASSERT_EQ(hidden.rows, 701);
  EXPECT_EQ(std::memcmp(hidden.values.data(), whole.row(299), hidden.values.size() * sizeof(float)), 0);
  EXPECT_LT(engine.backend->workspace_bytes(), apart.backend->workspace_bytes());
}

TEST(LanguageModel, ScoresEqualTheSumOfLogProbabilities) {
  Engine engine = open_random(1);
  const std::vector<ScoredSequence> items = sequences();
  LanguageModel model(engine, longest(items));
  const std::vector<double> scores = score_sequences(model, items);
  Engine apart = open_random(1);
  Decoder decoder(apart, 128);
  for (size_t i = 0; i < items.size(); ++i) {
    const int32_t id = decoder.create();
    double sum = 0;
    for (size_t t = 0; t + 1 < items[i].tokens.size(); ++t) {
      const Decoder::Step step{id, std::span(items[i].tokens).subspan(t, 1)};
      const int64_t row = 0;
      const TensorView logits = decoder.logits(decoder.forward({&step, 1}), {&row, 1});
      if (static_cast<int64_t>(t) + 1 < items[i].first_scored) continue;
      sum -= log_probability({logits.row(0), static_cast<size_t>(logits.shape[1])}, items[i].tokens[t + 1]);
    }
    decoder.release(id);
    // The same numbers summed in the same order, log-sum-exp by two routes in double.
    EXPECT_NEAR(scores[i], sum, 1e-9 * sum);
  }
}

TEST(LanguageModel, TheMostLikelyTokenOfEveryRow) {
  Engine engine = open_random(1, {}, /*tied=*/false);
  Decoder decoder(engine, 128);
  const ScoredSequence sequence = sequences().front();
  const Decoder::Step step{decoder.create(), sequence.tokens};
  const TensorView hidden = decoder.forward({&step, 1});
  for (const std::vector<int64_t>& rows : {std::vector<int64_t>{69}, {0, 69}, {3, 1, 40, 41, 2}}) {
    const TensorView logits = decoder.logits(hidden, rows);
    const std::span<const int32_t> tokens = decoder.most_likely(logits);
    ASSERT_EQ(tokens.size(), rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      const float* row = logits.row(static_cast<int64_t>(i));
      EXPECT_EQ(tokens[i], std::max_element(row, row + logits.shape[1]) - row) << i;
    }
  }
  std::vector<float> equal(8, 1.0f);  // the first of equal ones
  const std::span<const int32_t> first = decoder.most_likely(TensorView(equal.data(), DType::kF32, {2, 4}));
  EXPECT_EQ(std::vector<int32_t>(first.begin(), first.end()), (std::vector<int32_t>{0, 0}));
}

TEST(Quality, AModelAgreesWithItselfAndNotWithAnother) {
  // With a tied output layer small random weights repeat the token they were given, whatever the seed.
  const auto open_untied = [](uint64_t seed) { return open_random(seed, {}, /*tied=*/false); };
  Engine engine = open_untied(1), same = open_untied(1), other = open_untied(2);
  const auto reference = make_reference(engine, {sequences(), {}});
  const Quality itself = reference->compare(same, 0, 4);
  EXPECT_EQ(itself.at("kl_mean").value, 0);
  EXPECT_EQ(itself.at("top1_agreement").value, 1);
  EXPECT_LT(itself.at("top1_agreement").low, 1);
  EXPECT_EQ(itself.at("perplexity_ratio").value, 1);
  const Quality different = reference->compare(other, 0, 4);
  EXPECT_GT(different.at("kl_mean").value, 0);
  EXPECT_LT(different.at("top1_agreement").value, 0.5);
}

TEST(Quality, VocabulariesOfDifferentSizeAreRefused) {
  const auto open = [](int64_t vocab) {
    Checkpoint checkpoint;
    checkpoint.path = "random";
    checkpoint.config = llama_config(/*tied=*/true, vocab);
    checkpoint.weights = random_weights(checkpoint.config, "random", /*seed=*/1);
    EngineOptions options;
    options.backend = "ref";
    return open_engine(std::move(checkpoint), options);
  };
  Engine engine = open(48), same = open(48), other = open(56);
  EXPECT_NO_THROW(check_same_vocabulary(engine, same));
  EXPECT_THROW(check_same_vocabulary(engine, other), Error);
  const auto reference = make_reference(engine, {sequences(), {}});
  EXPECT_THROW(reference->compare(other, 0, 4), Error);
}

TEST(Quality, NoIntervalGoesBeyondWhatCanBe) {
  Engine engine = open_engine(std::string(CITIUS_TEST_DIR) + "/golden/tasks/classify_single");
  Engine coarse = open_engine(engine.checkpoint.path, [] {
    EngineOptions options;
    options.policy = [](const WeightRecord&) { return Format::kInt7; };
    return options;
  }());
  const auto reference = make_reference(engine, {{}, {"anna lives in paris", "a"}});
  const Estimate cosine = reference->compare(coarse, 0, 2).at("cosine_mean");
  EXPECT_LT(cosine.value, 1);
  EXPECT_LE(cosine.high, 1);
  EXPECT_GE(cosine.low, -1);
}

TEST(Quality, CoarserFormatsAreFurtherAway) {
  Engine engine = open_random(1);
  const auto reference = make_reference(engine, {sequences(), {}});
  const auto kl_of = [&](Format format) {
    Engine candidate = open_random(1, [format](const WeightRecord&) { return format; });
    candidate.options.compute = Compute::kExact;
    return reference->compare(candidate, 0, 4).at("kl_mean").value;
  };
  const double fine = kl_of(Format::kInt8G32), coarse = kl_of(Format::kInt4G32);
  EXPECT_GT(fine, 0);
  EXPECT_GT(coarse, 4 * fine);
}

TEST(Work, CountsWeightsOnceAndTheTiedHead) {
  const Engine engine = open_random(1);
  const WeightTotals totals = weight_totals(engine);
  const double layer = 32 * 32 * 2 + 16 * 32 * 2 + 3 * 32 * 64;
  EXPECT_EQ(totals.parameters, 2 * layer + 48 * 32);
  EXPECT_EQ(totals.products, totals.parameters);  // the embedding is the output layer
  EXPECT_EQ(totals.head_products, 48 * 32);
  EXPECT_EQ(totals.streamed_bytes, 4 * totals.parameters);
  EXPECT_EQ(kv_bytes_per_token(engine.model().config(), KvType::kF32), 2.0 * 2 * 8 * 4 * 2);
  EXPECT_EQ(kv_bytes_per_token(engine.model().config(), KvType::kInt8), 2.0 * 2 * (8 + 4) * 2);  // a scale each
  Workload decode;
  decode.kind = Workload::Kind::kDecode;
  decode.length = 1;
  decode.prompt = 9;
  const Work work = work_of(engine, decode);
  EXPECT_EQ(work.bytes, totals.streamed_bytes + 10 * kv_bytes_per_token(engine.model().config(), KvType::kF32));
}

}  // namespace
}  // namespace citius
