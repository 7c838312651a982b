// A bare configuration gives the tensors that the architecture of that name reads, no more and no fewer.
#include "eval/random_weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "heads/causal_lm.h"
#include "io/temp_dir.h"
#include "models/model.h"
#include "runtime/engine.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

// Every configuration of the reference models, with transformers' own tensors beside it.
std::vector<std::string> reference_models() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(std::string(CITIUS_TEST_DIR) + "/golden/models")) {
    if (fs::exists(entry.path() / "config.json")) names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class BareConfiguration : public testing::TestWithParam<std::string> {};

TEST_P(BareConfiguration, HasTheTensorsOfTheRealModel) {
  const Checkpoint real = open_checkpoint(std::string(CITIUS_TEST_DIR) + "/golden/models/" + GetParam());
  for (const RandomTensor& tensor : tensors_of(real.config, "config.json")) {
    std::string found;
    // The same model with a head has a prefix more, or one less.
    for (const char* prefix : {"", "bert.", "distilbert.", "roberta.", "mpnet.", "model."}) {
      if (real.weights->has(prefix + tensor.name)) found = prefix + tensor.name;
    }
    if (const std::string bare = tensor.name.substr(tensor.name.find('.') + 1); found.empty() && real.weights->has(bare)) found = bare;
    ASSERT_FALSE(found.empty()) << tensor.name;
    EXPECT_EQ(real.weights->shape(found), tensor.shape) << tensor.name;
  }
}

TEST_P(BareConfiguration, IsOpenedAndNoneOfItsTensorsIsLeftOver) {
  Checkpoint checkpoint = open_checkpoint(std::string(CITIUS_TEST_DIR) + "/golden/models/" + GetParam());
  checkpoint.weights = random_weights(checkpoint.config, "config.json", /*seed=*/1);
  EngineOptions options;
  options.backend = "ref";
  Engine engine = open_engine(std::move(checkpoint), options);
  if (engine.model().config().causal) CausalLmHead::load(engine.loaded);
  EXPECT_NO_THROW(engine.loaded.finish());
}

INSTANTIATE_TEST_SUITE_P(ReferenceModels, BareConfiguration, testing::ValuesIn(reference_models()),
                         [](const auto& info) { return info.param; });

TEST(RandomWeights, EveryArchitectureHasAReferenceModel) {
  std::set<std::string> types;
  for (const std::string& name : reference_models()) {
    types.insert(open_checkpoint(std::string(CITIUS_TEST_DIR) + "/golden/models/" + name).model_type());
  }
  for (const Architecture& architecture : architectures()) EXPECT_TRUE(types.contains(architecture.model_type)) << architecture.model_type;
}

// GPT-2's sizes have names of their own and those that all have.
TEST(RandomWeights, BothNamesOfASizeAreRead) {
  const json::object own = {{"model_type", "gpt2"}, {"n_embd", 16}, {"n_layer", 1}, {"n_positions", 8}, {"n_inner", 24}, {"vocab_size", 9}};
  const json::object common = {{"model_type", "gpt2"},         {"hidden_size", 16},       {"num_hidden_layers", 1},
                               {"max_position_embeddings", 8}, {"intermediate_size", 24}, {"vocab_size", 9}};
  const auto first = tensors_of(own, "own"), second = tensors_of(common, "common");
  ASSERT_EQ(first.size(), second.size());
  for (size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(first[i].name, second[i].name);
    EXPECT_EQ(first[i].shape, second[i].shape) << first[i].name;
  }
}

TEST(RandomWeights, ABareConfigurationThatIsQuantizedIsRefused) {
  const TempDir directory;
  const fs::path path =
      directory.write("config.json", R"({"model_type": "llama", "quantization_config": {"quant_method": "gptq", "bits": 4}})");
  EXPECT_THROW(open_checkpoint(path), Error);
}

TEST(RandomWeights, AnotherArchitectureIsRefusedWithThoseThatAreKnown) {
  json::object config;
  config["model_type"] = "t5";
  try {
    tensors_of(config, "config.json");
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("'t5'"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("modernbert"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace citius
