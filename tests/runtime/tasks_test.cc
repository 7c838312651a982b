// The tasks on tiny random models with their tokenizers, text in and results out, against transformers' pipelines and
// sentence-transformers' CrossEncoder (tests/golden/tasks/make.py).
#include "runtime/tasks.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/question_answerer.h"

namespace citius {
namespace {

// Scores are probabilities or logits of order one from fp32 models that differ by 1e-5 relative at most.
constexpr double kTolerance = 5e-5;

std::filesystem::path folder() { return std::filesystem::path(CITIUS_TEST_DIR) / "golden/tasks"; }

Engine open(const std::string& name) {
  EngineOptions options;
  options.backend = "ref";
  options.num_threads = 2;
  options.compute = Compute::kExact;
  return open_engine(folder() / name, options);
}

class Tasks : public testing::Test {
 protected:
  Tasks() : expected_(read_json(folder() / "expected.json")) {
    for (const json::value& text : expected_.at("texts").as_array()) texts_.emplace_back(text.as_string().c_str());
  }

  void expect_scores(const Classification& got, const json::value& expected) const {
    const json::object& scores = expected.as_object();
    ASSERT_EQ(got.scores.size(), scores.size());
    double best = -1e9;
    for (const auto& [label, score] : got.scores) {
      EXPECT_NEAR(score, scores.at(label).to_number<double>(), kTolerance) << label;
      best = std::max(best, score);
    }
    EXPECT_EQ(got.score, best);
    EXPECT_NEAR(got.score, scores.at(got.label).to_number<double>(), kTolerance);
  }

  json::value expected_;
  std::vector<std::string> texts_;
};

TEST_F(Tasks, ClassifyAsTransformers) {
  for (const char* name : {"classify_single", "classify_multi", "classify_regression"}) {
    SCOPED_TRACE(name);
    Engine engine = open(name);
    Classifier classifier(engine);
    const std::vector<Classification> results = classifier.classify(texts_);
    ASSERT_EQ(results.size(), texts_.size());
    for (size_t i = 0; i < results.size(); ++i) expect_scores(results[i], expected_.at(name).at(i));
    EXPECT_EQ(results[0].truncated, 0u);
    // A text gives the same bits alone.
    EXPECT_EQ(classifier.classify({&texts_[2], 1})[0].scores, results[2].scores);
  }
}

TEST_F(Tasks, ZeroShotAsTransformers) {
  for (const bool multi : {false, true}) {
    Engine engine = open("nli");
    ZeroShotOptions options;
    for (const json::value& label : expected_.at("zero_shot_labels").as_array()) options.labels.emplace_back(label.as_string().c_str());
    options.multi_label = multi;
    ZeroShotClassifier classifier(engine, options);
    std::vector<std::string> texts = texts_;
    std::erase(texts, "");  // the referee refuses an empty text
    const std::vector<Classification> results = classifier.classify(texts);
    const json::value& expected = expected_.at(multi ? "zero_shot_multi" : "zero_shot");
    for (size_t i = 0; i < results.size(); ++i) expect_scores(results[i], expected.at(i));
  }
  Engine sentiment = open("classify_single");
  EXPECT_THROW(ZeroShotClassifier(sentiment, {{"a"}, "This is {}.", false}), Error);
}

TEST_F(Tasks, FindEntitiesAsTransformers) {
  size_t checked = 0;
  for (const char* name : {"ner_wordpiece", "ner_bytes"}) {
    for (const auto& [strategy, expected] : expected_.at(name).as_object()) {
      SCOPED_TRACE(std::string(name) + " " + std::string(strategy));
      Engine engine = open(name);
      EntityFinder finder(engine, *parse_aggregation(std::string_view(strategy.data(), strategy.size())));
      const std::vector<Entities> results = finder.find(texts_);
      for (size_t i = 0; i < results.size(); ++i) {
        SCOPED_TRACE(texts_[i]);
        const json::array& entities = expected.at(i).as_array();
        ASSERT_EQ(results[i].entities.size(), entities.size());
        for (size_t j = 0; j < entities.size(); ++j) {
          const FoundEntity& got = results[i].entities[j];
          const JsonObject want(entities[j], "expected");
          EXPECT_EQ(got.entity.label, want.get_string("label"));
          EXPECT_EQ(got.entity.begin, want.get_int("start"));
          EXPECT_EQ(got.entity.end, want.get_int("end"));
          EXPECT_EQ(got.text, want.get_string("text"));
          EXPECT_NEAR(got.entity.score, want.get_number("score"), kTolerance);
          ++checked;
        }
      }
    }
  }
  EXPECT_GT(checked, 200u);
}

TEST_F(Tasks, FillMasksAsTransformers) {
  Engine engine = open("fill_mask");
  MaskFiller filler(engine, 4);
  for (const json::value& item : expected_.at("fill_mask").as_array()) {
    const std::string text = item.at("text").as_string().c_str();
    const MaskFills got = filler.fill({&text, 1})[0];
    const json::array& masks = item.at("masks").as_array();
    ASSERT_EQ(got.masks.size(), masks.size());
    for (size_t m = 0; m < masks.size(); ++m) {
      ASSERT_EQ(got.masks[m].size(), masks[m].as_array().size());
      for (size_t i = 0; i < got.masks[m].size(); ++i) {
        const JsonObject want(masks[m].at(i), "expected");
        EXPECT_EQ(got.masks[m][i].token, want.get_int("token"));
        EXPECT_NEAR(got.masks[m][i].score, want.get_number("score"), kTolerance);
        EXPECT_EQ(got.masks[m][i].token_text, want.get_string("token_str"));
        EXPECT_EQ(got.masks[m][i].sequence, want.get_string("sequence"));
      }
    }
  }
  const std::string none = "no mask here";
  EXPECT_TRUE(filler.fill({&none, 1})[0].masks.empty());
  std::string longer = "[MASK]";
  for (int i = 0; i < 50; ++i) longer += " anna";
  EXPECT_THROW(filler.fill({&longer, 1}), Error);
}

TEST_F(Tasks, RerankAsSentenceTransformers) {
  Engine engine = open("rerank");
  EXPECT_TRUE(is_cross_encoder(engine.checkpoint));
  CrossEncoder encoder(engine);
  const json::value& expected = expected_.at("rerank");
  const std::vector<double> scores = encoder.score(expected.at("query").as_string().c_str(), texts_);
  ASSERT_EQ(scores.size(), texts_.size());
  for (size_t i = 0; i < scores.size(); ++i) EXPECT_NEAR(scores[i], expected.at("scores").at(i).to_number<double>(), kTolerance);
}

TEST_F(Tasks, AnswerQuestionsAsTransformers) {
  const json::value file = read_json(folder() / "expected_qa.json");
  for (const json::value& item : file.as_array()) {
    SCOPED_TRACE(json::serialize(item.at("question")) + json::serialize(item.at("options")));
    Engine engine = open("qa");
    QuestionOptions options;
    const JsonObject json(item.at("options"), "options");
    options.answers.top_k = static_cast<int>(json.get_int("top_k", 1));
    options.answers.max_tokens = static_cast<int>(json.get_int("max_answer_len", 15));
    options.answers.allow_none = json.get_bool("handle_impossible_answer", false);
    QuestionAnswerer answerer(engine, options);
    const std::vector<FoundAnswer> got = answerer.answer(item.at("question").as_string().c_str(), item.at("context").as_string().c_str());
    const json::array& answers = item.at("answers").as_array();
    size_t compared = 0;
    for (size_t i = 0; i < answers.size(); ++i) {
      const JsonObject want(answers[i], "expected");
      // The referee pads a short list with impossible spans of score 0; we leave them out.
      if (want.get_number("score") == 0) continue;
      ASSERT_LT(i, got.size());
      EXPECT_EQ(got[i].text, want.get_string("text"));
      EXPECT_EQ(got[i].answer.begin, want.get_int("start"));
      EXPECT_EQ(got[i].answer.end, want.get_int("end"));
      EXPECT_NEAR(got[i].answer.score, want.get_number("score"), kTolerance);
      ++compared;
    }
    EXPECT_GT(compared, 0u);
  }
}

TEST_F(Tasks, WrongTaskIsRefused) {
  Engine engine = open("qa");
  EXPECT_THROW(Classifier{engine}, Error);
}

}  // namespace
}  // namespace citius
