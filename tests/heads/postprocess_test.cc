// Postprocessing of tasks against what transformers' pipelines and sentence-transformers make of the same logits
// (tests/golden/heads/make.py). The referees compute in fp32, we in double: scores agree within a few fp32 roundings.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/json.h"
#include "heads/classification.h"
#include "heads/masked_lm.h"
#include "heads/pooling.h"
#include "heads/question_answering.h"
#include "heads/token_classification.h"

namespace citius {
namespace {

constexpr double kTolerance = 2e-6;

json::value golden(const std::string& name) { return read_json(std::filesystem::path(CITIUS_TEST_DIR) / "golden/heads" / name); }

template <typename T>
std::vector<T> numbers(const json::value& array) {
  std::vector<T> values;
  for (const json::value& value : array.as_array()) values.push_back(value.to_number<T>());
  return values;
}

std::vector<std::string> texts(const json::value& array) {
  std::vector<std::string> values;
  for (const json::value& value : array.as_array()) values.emplace_back(value.as_string().c_str());
  return values;
}

Entity entity(const json::value& value) {
  const json::object& object = value.as_object();
  return {object.at("label").as_string().c_str(), object.at("score").to_number<double>(), object.at("begin").to_number<int32_t>(),
          object.at("end").to_number<int32_t>()};
}

void expect_entities(const std::vector<Entity>& found, const json::array& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const Entity want = entity(expected[i]);
    EXPECT_EQ(found[i].label, want.label) << i;
    EXPECT_EQ(found[i].begin, want.begin) << i;
    EXPECT_EQ(found[i].end, want.end) << i;
    EXPECT_NEAR(found[i].score, want.score, kTolerance) << i;
  }
}

TEST(TokenClassification, AggregatesAsTransformers) {
  const json::value file = golden("token_classification.json");
  const std::vector<std::string> labels = texts(file.at("labels"));
  size_t checked = 0;
  for (const json::value& item : file.at("cases").as_array()) {
    std::vector<TokenScores> tokens;
    for (const json::value& token : item.at("tokens").as_array()) {
      tokens.push_back({softmax(numbers<float>(token.at("logits"))), token.at("begin").to_number<int32_t>(),
                        token.at("end").to_number<int32_t>(), token.at("is_subword").as_bool()});
    }
    for (const auto& [name, expected] : item.at("expected").as_object()) {
      SCOPED_TRACE(std::string(name) + " of " + std::to_string(tokens.size()));
      const std::optional<Aggregation> aggregation = parse_aggregation(std::string_view(name.data(), name.size()));
      ASSERT_TRUE(aggregation);
      expect_entities(find_entities(tokens, labels, *aggregation), expected.as_array());
      checked += expected.as_array().size();
    }
  }
  EXPECT_GT(checked, 100u);
}

TEST(TokenClassification, MergesWindowsAsTransformers) {
  const json::value file = golden("token_classification.json");
  for (const json::value& item : file.at("windows").as_array()) {
    std::vector<Entity> entities;
    for (const json::value& value : item.at("entities").as_array()) entities.push_back(entity(value));
    expect_entities(merge_windows(entities), item.at("expected").as_array());
  }
}

Checkpoint with_config(json::object config) {
  Checkpoint checkpoint;
  checkpoint.path = "config.json";
  checkpoint.config = std::move(config);
  return checkpoint;
}

TEST(Classification, ScoresAsTransformers) {
  const json::value file = golden("classification.json");
  for (const json::value& item : file.at("cases").as_array()) {
    const std::vector<float> logits = numbers<float>(item.at("logits"));
    const Checkpoint checkpoint = with_config({{"problem_type", item.at("problem_type")}});
    const std::vector<double> scores = label_scores(logits, score_kind(checkpoint, logits.size()));
    const std::vector<double> expected = numbers<double>(item.at("scores"));
    ASSERT_EQ(scores.size(), expected.size());
    for (size_t i = 0; i < scores.size(); ++i) EXPECT_NEAR(scores[i], expected[i], kTolerance);
  }
  EXPECT_THROW(score_kind(with_config({{"problem_type", "ranking"}}), 2), Error);
}

TEST(Classification, ZeroShotAsTransformers) {
  const json::value file = golden("classification.json");
  for (const json::value& item : file.at("zero_shot").as_array()) {
    const NliLabels labels = find_nli_labels(texts(item.at("labels")), "test");
    std::vector<std::vector<float>> logits;
    for (const json::value& row : item.at("logits").as_array()) logits.push_back(numbers<float>(row));
    const std::vector<double> scores = zero_shot_scores(logits, labels, item.at("multi_label").as_bool());
    const std::vector<double> expected = numbers<double>(item.at("scores"));
    for (size_t i = 0; i < scores.size(); ++i) EXPECT_NEAR(scores[i], expected[i], kTolerance);
  }
  const std::vector<std::string> sentiment = {"NEGATIVE", "POSITIVE"};
  EXPECT_THROW(find_nli_labels(sentiment, "test"), Error);
  EXPECT_EQ(fill_hypothesis("This is {}.", "a test"), "This is a test.");
  EXPECT_THROW(fill_hypothesis("This is it.", "a test"), Error);
}

TEST(QuestionAnswering, AnswersAsTransformers) {
  size_t checked = 0;
  const json::value file = golden("question_answering.json");
  for (const json::value& item : file.as_array()) {
    const std::string context = item.at("context").as_string().c_str();
    std::vector<AnswerWindow> windows;
    for (const json::value& w : item.at("windows").as_array()) {
      windows.push_back({numbers<float>(w.at("start")), numbers<float>(w.at("end")), numbers<uint8_t>(w.at("allowed")),
                         numbers<int32_t>(w.at("begins")), numbers<int32_t>(w.at("ends")), numbers<int32_t>(w.at("words"))});
    }
    const auto key = [&](int32_t begin, int32_t end) {
      std::string text = context.substr(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
      for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      return text;
    };
    for (const json::value& run : item.at("runs").as_array()) {
      SCOPED_TRACE(json::serialize(run.at("options")));
      const JsonObject json(run.at("options"), "options");
      AnswerOptions options;
      options.top_k = static_cast<int>(json.get_int("top_k", 1));
      options.max_tokens = static_cast<int>(json.get_int("max_answer_len", 15));
      options.allow_none = json.get_bool("handle_impossible_answer", false);
      options.align_to_words = json.get_bool("align_to_words", true);
      const std::vector<Answer> answers = best_answers(windows, options, key);
      const json::array& expected = run.at("answers").as_array();
      ASSERT_GE(answers.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(answers[i].begin, expected[i].at("begin").to_number<int32_t>()) << i;
        EXPECT_EQ(answers[i].end, expected[i].at("end").to_number<int32_t>()) << i;
        EXPECT_NEAR(answers[i].score, expected[i].at("score").to_number<double>(), kTolerance) << i;
        ++checked;
      }
    }
  }
  EXPECT_GT(checked, 30u);
}

TEST(Pooling, PoolsAsSentenceTransformers) {
  const json::value file = golden("pooling.json");
  for (const json::value& item : file.as_array()) {
    std::vector<float> values;
    const json::array& rows = item.at("hidden").as_array();
    for (const json::value& row : rows) {
      for (float value : numbers<float>(row)) values.push_back(value);
    }
    const TensorView hidden(values.data(), DType::kF32, {static_cast<int64_t>(rows.size()), 5});
    for (const auto& [name, expected] : item.at("modes").as_object()) {
      const std::optional<PoolingMode> mode = parse_pooling(std::string_view(name.data(), name.size()));
      ASSERT_TRUE(mode) << std::string(name);
      std::vector<float> out(5);
      pool(*mode, hidden, out.data());
      const std::vector<float> want = numbers<float>(expected);
      for (size_t i = 0; i < out.size(); ++i) EXPECT_NEAR(out[i], want[i], 1e-6) << std::string(name);
    }
  }
  std::vector<float> row = {3, 4}, zero = {0, 0};
  normalize_l2(row);
  normalize_l2(zero);
  EXPECT_FLOAT_EQ(row[0], 0.6f);
  EXPECT_FLOAT_EQ(row[1], 0.8f);
  EXPECT_EQ(zero, (std::vector<float>{0, 0}));
}

TEST(MaskedLm, LikeliestTokensComeFirst) {
  const std::vector<float> logits = {0, 3, -1, 3, 2};
  const std::vector<TokenScore> top = likeliest_tokens(logits, 3);
  ASSERT_EQ(top.size(), 3u);
  EXPECT_EQ(top[0].token, 1);
  EXPECT_EQ(top[1].token, 3);
  EXPECT_EQ(top[2].token, 4);
  EXPECT_EQ(likeliest_tokens(logits, 99).size(), logits.size());
}

}  // namespace
}  // namespace citius
