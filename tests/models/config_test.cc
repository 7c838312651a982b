// Configurations that say the same in other words, or leave to the defaults of transformers' classes what another one spells out, give
// the same states; what no class of transformers computes is refused. The states of the first spelling are held to transformers in
// tests/heads/golden_test.cc.
#include "io/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "io/temp_dir.h"
#include "models/model.h"

namespace citius {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const std::filesystem::path kModels = CITIUS_TEST_DIR "/golden/models";

using Patch = std::function<void(json::object& config)>;

// Hidden states of eighty tokens, the longest window and block of keys crossed.
std::vector<float> states(const Checkpoint& checkpoint) {
  constexpr int32_t kLength = 80;
  const std::unique_ptr<Backend> backend = make_backend("ref", {1, ""});
  const LoadedModel loaded = load_model(checkpoint, *backend);
  const ModelConfig& config = loaded.model->config();
  std::vector<int32_t> tokens, positions(kLength), blocks(kLength);
  for (int32_t i = 0; i < kLength; ++i) tokens.push_back(i * 7 % static_cast<int32_t>(config.vocab_size));
  std::iota(positions.begin(), positions.end(), 0);
  std::iota(blocks.begin(), blocks.end(), 0);
  const SequenceSpan span{0, kLength, 0, blocks.data()};
  nn::KvCache kv(config.causal ? config.num_layers : 1, kLength / kKvBlock + 1, config.kv_heads, config.head_dim, KvType::kF32);
  Arena arena;
  const TensorView final = loaded.model->forward({*backend, arena, Compute::kExact, nullptr}, {tokens, positions, {}, {&span, 1}}, kv);
  return {final.row(0), final.row(0) + final.shape.num_elements()};
}

std::vector<float> states(const std::string& model, const Patch& patch = {}) {
  Checkpoint checkpoint = open_checkpoint(kModels / model);
  json::object config = read_json(kModels / model / "config.json").as_object();
  if (patch) patch(config);
  checkpoint.config = normalize_config(std::move(config), model);
  return states(checkpoint);
}

Patch set(const char* key, json::value value) {
  return [key, value](json::object& config) { config[key] = value; };
}

json::object& rope(json::object& config) {
  return config[config.contains("rope_parameters") ? "rope_parameters" : "rope_scaling"].as_object();
}

TEST(RopeSettings, TheOriginalLengthBesideThemGoesFirst) {
  for (const char* model : {"llama_rope_yarn", "llama_rope_llama3", "qwen2_yarn"}) {
    const std::vector<float> expected = states(model);
    const auto move = [](json::object& config, json::value inside) {
      config["original_max_position_embeddings"] = rope(config).at("original_max_position_embeddings");
      rope(config)["original_max_position_embeddings"] = std::move(inside);
    };
    EXPECT_EQ(states(model, [&](json::object& config) { move(config, 500); }), expected) << model;
    EXPECT_EQ(states(model, [&](json::object& config) { move(config, nullptr); }), expected) << model;
    EXPECT_NE(states(model, [&](json::object& config) { rope(config)["original_max_position_embeddings"] = 500; }), expected) << model;
    const auto absent = states(model, [&](json::object& config) { rope(config).erase("original_max_position_embeddings"); });
    EXPECT_EQ(states(model, [&](json::object& config) { rope(config)["original_max_position_embeddings"] = 96; }), absent) << model;
  }
}

TEST(RopeSettings, TheNestedBaseGoesFirst) {
  const std::vector<float> expected = states("mistral");
  EXPECT_EQ(states("mistral", set("rope_theta", 77.0)), expected);
  EXPECT_NE(states("mistral", [](json::object& config) { rope(config)["rope_theta"] = 77.0; }), expected);
  const std::vector<float> yarn = states("llama_rope_yarn", set("rope_theta", 500.0));
  EXPECT_NE(yarn, states("llama_rope_yarn"));
  EXPECT_EQ(states("llama_rope_yarn", [](json::object& config) { rope(config)["rope_theta"] = 500.0; }), yarn);
}

TEST(RopeSettings, ScalingGoesBeforeParameters) {
  const json::object scaling{{"type", "linear"}, {"factor", 2.0}};
  const auto expected = states("llama", set("rope_scaling", scaling));
  EXPECT_NE(expected, states("llama"));
  EXPECT_EQ(states("llama",
                   [&](json::object& config) {
                     config["rope_scaling"] = scaling;
                     config["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 77.0}};
                   }),
            expected);
  EXPECT_EQ(states("llama", set("rope_scaling", json::object())), states("llama"));
}

TEST(RopeSettings, ZerosOfYarnAreNotGiven) {
  const std::vector<float> expected = states("llama_rope_yarn");
  for (const char* key : {"beta_fast", "beta_slow"}) {
    EXPECT_EQ(states("llama_rope_yarn", [&](json::object& config) { rope(config)[key] = 0; }), expected) << key;
  }
  const auto with_scales = [](double mscale, double all) {
    return states("llama_rope_yarn", [&](json::object& config) {
      rope(config)["mscale"] = mscale;
      rope(config)["mscale_all_dim"] = all;
    });
  };
  EXPECT_EQ(with_scales(0.5, 0.0), expected);
  EXPECT_EQ(with_scales(0.0, 0.5), expected);
  EXPECT_NE(with_scales(0.5, 0.7), expected);
}

TEST(RopeSettings, PartialRotationIsRefused) {
  EXPECT_EQ(states("llama", set("partial_rotary_factor", 1.0)), states("llama"));
  EXPECT_THAT([] { states("llama", set("partial_rotary_factor", 0.5)); }, ThrowsMessage<Error>(HasSubstr("partial_rotary_factor")));
  EXPECT_THAT([] { states("mistral", [](json::object& config) { rope(config)["partial_rotary_factor"] = 0.5; }); },
              ThrowsMessage<Error>(HasSubstr("partial_rotary_factor")));
}

TEST(SlidingWindows, OfMistralDoNotFollowLayerTypes) {
  EXPECT_EQ(states("mistral", set("layer_types", {"full_attention", "sliding_attention"})), states("mistral"));
  // Absent it is 4096 tokens, longer than these.
  EXPECT_EQ(states("mistral", [](json::object& config) { config.erase("sliding_window"); }),
            states("mistral", set("sliding_window", nullptr)));
  EXPECT_NE(states("mistral"), states("mistral", set("sliding_window", nullptr)));
}

TEST(SlidingWindows, AreNothingToLlama) {
  const auto with_window = [](json::object& config) {
    config["sliding_window"] = 5;
    config["use_sliding_window"] = true;
    config["layer_types"] = {"sliding_attention", "sliding_attention"};
  };
  EXPECT_EQ(states("llama", with_window), states("llama"));
}

TEST(SlidingWindows, OfQwenHaveItsDefaults) {
  const std::vector<float> none = states("qwen2_window", set("use_sliding_window", false));
  EXPECT_NE(states("qwen2_window"), none);
  // The first layer with a window is 28, and there are three.
  EXPECT_EQ(states("qwen2_window", [](json::object& config) { config.erase("max_window_layers"); }), none);
  EXPECT_EQ(states("qwen2_window", [](json::object& config) { config.erase("sliding_window"); }), none);
  EXPECT_EQ(states("qwen2_window", set("sliding_window", nullptr)), none);
  EXPECT_EQ(states("qwen2_window", set("layer_types", {"full_attention", "sliding_attention", "sliding_attention"})),
            states("qwen2_window"));
}

TEST(SlidingWindows, BadLayerTypesAreRefused) {
  EXPECT_THAT([] { states("qwen3_window", set("layer_types", {"full_attention"})); }, ThrowsMessage<Error>(HasSubstr("layer_types")));
  EXPECT_THAT([] { states("qwen3_window", set("layer_types", {"full_attention", "chunked_attention"})); },
              ThrowsMessage<Error>(HasSubstr("chunked_attention")));
  EXPECT_THAT([] { states("qwen3_window", set("use_sliding_window", false)); }, ThrowsMessage<Error>(HasSubstr("use_sliding_window")));
}

TEST(Context, LimitsEveryArchitecture) {
  for (const auto& entry : std::filesystem::directory_iterator(kModels)) {
    if (!entry.is_directory()) continue;
    const std::unique_ptr<Backend> backend = make_backend("ref", {1, ""});
    const Checkpoint checkpoint = open_checkpoint(entry.path());
    ModelOptions options;
    options.max_context = 8;
    EXPECT_EQ(load_model(checkpoint, *backend, options).model->config().max_positions, 8) << entry.path();
    options.max_context = 1 << 20;
    EXPECT_THAT([&] { load_model(checkpoint, *backend, options); }, ThrowsMessage<Error>(HasSubstr("--context"))) << entry.path();
  }
}

void append(std::string& out, const std::string& text) {
  const uint64_t size = text.size();
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out += text;
}

// A GGUF file with one number more in its metadata, and a text that keeps the alignment of its data.
std::string with_number(const std::string& file, const std::string& key, float value) {
  constexpr uint32_t kF32 = 6, kString = 8;
  constexpr size_t kHeader = 24, kAlignment = 32;
  std::string added;
  append(added, key);
  added.append(reinterpret_cast<const char*>(&kF32), sizeof kF32);
  added.append(reinterpret_cast<const char*>(&value), sizeof value);
  append(added, "pad");
  added.append(reinterpret_cast<const char*>(&kString), sizeof kString);
  const size_t end = added.size() + sizeof(uint64_t);
  append(added, std::string((end + kAlignment - 1) / kAlignment * kAlignment - end, '.'));
  std::string result = file.substr(0, kHeader) + added + file.substr(kHeader);
  uint64_t count = 0;
  std::memcpy(&count, result.data() + 16, sizeof count);
  count += 2;
  std::memcpy(result.data() + 16, &count, sizeof count);
  return result;
}

TEST(ModernBert, AWindowWithoutNeighboursIsRefused) {
  EXPECT_THAT([] { states("modernbert", set("local_attention", 1)); }, ThrowsMessage<Error>(HasSubstr("local_attention is 1")));
  EXPECT_NO_THROW(states("modernbert", set("local_attention", 2)));
}

TEST(GgufScales, AreRefusedUnlessTheyChangeNothing) {
  const TempDir dir;
  const std::string file = read_file(kModels / "llama_rope_yarn/model.gguf", size_t{1} << 24);
  const auto with = [&](const std::string& key, float value) {
    dir.write("model.gguf", with_number(file, key, value));
    return states(open_checkpoint(dir.path() / "model.gguf"));
  };
  const std::vector<float> expected = states(open_checkpoint(kModels / "llama_rope_yarn/model.gguf"));
  for (const char* key : {"llama.rope.scaling.yarn_attn_factor", "llama.rope.scaling.yarn_ext_factor", "llama.logit_scale",
                          "llama.embedding_scale", "llama.residual_scale"}) {
    EXPECT_EQ(with(key, 1), expected) << key;
    EXPECT_THAT([&] { with(key, 0.5f); }, ThrowsMessage<Error>(HasSubstr(key)));
  }
  EXPECT_EQ(with("llama.attention.scale", 0), expected);
  EXPECT_EQ(with("llama.rope.scaling.attn_factor", 1), expected);
  // llama.cpp: attn_factor (1 + 0.1 ln factor), with a factor of 4.
  const std::vector<float> sharper =
      states("llama_rope_yarn", [](json::object& config) { rope(config)["attention_factor"] = 2 * (1 + 0.1 * std::log(4.0)); });
  const std::vector<float> scaled = with("llama.rope.scaling.attn_factor", 2);
  ASSERT_EQ(scaled.size(), sharper.size());
  double difference = 0, change = 0;
  for (size_t i = 0; i < scaled.size(); ++i) {
    difference = std::max(difference, std::fabs(static_cast<double>(scaled[i]) - sharper[i]));
    change = std::max(change, std::fabs(static_cast<double>(scaled[i]) - expected[i]));
  }
  EXPECT_LT(difference, 1e-4);  // the GGUF file orders the pairs of a head otherwise
  EXPECT_GT(change, 0.05);
  EXPECT_THAT([&] { with("llama.attention.scale", 0.9f); }, ThrowsMessage<Error>(HasSubstr("llama.attention.scale")));
}

}  // namespace
}  // namespace citius
