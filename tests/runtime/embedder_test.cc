// What follows the pooling, in the order that modules.json gives, against the same arithmetic on plain vectors.
#include "runtime/embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "io/safetensors.h"
#include "io/temp_dir.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead = R"({"type": "sentence_transformers.models.Transformer", "path": ""})";
constexpr const char* kPooling = R"({"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"})";
constexpr const char* kDense = R"({"type": "sentence_transformers.models.Dense", "path": "2_Dense"})";
constexpr const char* kNormalize = R"({"type": "sentence_transformers.models.Normalize", "path": "3_Normalize"})";

class EmbedderModules : public testing::Test {
 protected:
  static constexpr size_t kInputs = 12, kOutputs = 4;  // the golden's width; the dense layer's

  EmbedderModules() {
    for (const char* name : {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}) {
      fs::copy_file(fs::path(CITIUS_TEST_DIR) / "golden/tasks/fill_mask" / name, dir_.path() / name);
    }
    dir_.write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
    dir_.write("2_Dense/config.json", R"({"in_features": 12, "out_features": 4, "bias": false,
                                          "activation_function": "torch.nn.modules.linear.Identity"})");
    for (size_t i = 0; i < kInputs * kOutputs; ++i) weights_.push_back(static_cast<float>(i % 7) - 2.5F);
    write_safetensors(dir_.path() / "2_Dense/model.safetensors",
                      {{"linear.weight", DType::kF32, {kOutputs, kInputs}, std::as_bytes(std::span(weights_))}});
  }

  std::vector<float> embed(const std::vector<const char*>& modules, const std::string& pooling = "") {
    std::string list;
    for (const char* module : modules) list += (list.empty() ? "[" : ", ") + std::string(module);
    dir_.write("modules.json", list + "]");
    EngineOptions options;
    options.backend = "ref";
    options.compute = Compute::kExact;
    Engine engine = open_engine(dir_.path(), options);
    const std::string text = "anna lives in paris";
    return Embedder(engine, {.pooling = pooling}).embed({&text, 1})[0];
  }

  std::vector<float> dense(const std::vector<float>& values) const {
    std::vector<float> result;
    for (size_t row = 0; row < kOutputs; ++row) {
      double sum = 0;
      for (size_t i = 0; i < kInputs; ++i) sum += static_cast<double>(weights_[row * kInputs + i]) * static_cast<double>(values[i]);
      result.push_back(static_cast<float>(sum));
    }
    return result;
  }

  static std::vector<float> normalized(std::vector<float> values) {
    double sum = 0;
    for (const float value : values) sum += static_cast<double>(value) * static_cast<double>(value);
    for (float& value : values) value = static_cast<float>(static_cast<double>(value) / std::sqrt(sum));
    return values;
  }

  TempDir dir_;
  std::vector<float> weights_;
};

TEST_F(EmbedderModules, RunInTheOrderGiven) {
  const auto near = [](const std::vector<float>& expected) { return testing::Pointwise(testing::FloatNear(1e-5F), expected); };
  const std::vector<float> pooled = embed({kHead, kPooling});
  ASSERT_EQ(pooled.size(), kInputs);
  EXPECT_THAT(embed({kHead, kPooling, kNormalize}), near(normalized(pooled)));
  EXPECT_THAT(embed({kHead, kPooling, kDense, kNormalize}), near(normalized(dense(pooled))));
  EXPECT_THAT(embed({kHead, kPooling, kNormalize, kDense}), near(dense(normalized(pooled))));
}

TEST_F(EmbedderModules, AGivenPoolingNeedsNoModule) {
  const std::vector<float> normal = embed({kHead, kPooling, kNormalize}), plain = embed({kHead, kPooling});
  EXPECT_EQ(embed({kHead, kNormalize}, "mean"), normal);
  EXPECT_EQ(embed({kHead}, "mean"), plain);
  EXPECT_NE(embed({kHead, kPooling}, "cls"), plain);
}

TEST_F(EmbedderModules, OtherOrdersAndPlacesAreRefused) {
  EXPECT_THROW(embed({kHead, kDense, kPooling}), Error);
  EXPECT_THROW(embed({kHead, kNormalize}), Error);
  EXPECT_THROW(embed({kPooling, kHead}), Error);
  EXPECT_THROW(embed({kHead, kPooling, kPooling}), Error);
  EXPECT_THROW(embed({R"({"type": "models.Transformer", "path": "0_Transformer"})", kPooling}), Error);
}

}  // namespace
}  // namespace citius
