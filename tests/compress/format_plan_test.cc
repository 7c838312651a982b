#include "compress/format_plan.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "io/gguf.h"

namespace citius {
namespace {

WeightRecord record(std::string name, int64_t cols, Format stored = Format::kF32) {
  return {std::move(name), 64, cols, stored, stored, {}};
}

TEST(FormatPlan, PlacesOfAllNamingSchemes) {
  const auto expect = [](std::string_view name, WeightKind kind, int64_t layer) {
    EXPECT_EQ(place_of(name).kind, kind) << name;
    EXPECT_EQ(place_of(name).layer, layer) << name;
  };
  expect("embeddings.word_embeddings.weight", WeightKind::kEmbedding, -1);
  expect("token_embd.weight", WeightKind::kEmbedding, -1);
  expect("model.layers.12.self_attn.q_proj.weight", WeightKind::kAttention, 12);
  expect("model.layers.3.mlp.down_proj.weight", WeightKind::kFeedForward, 3);
  expect("blk.7.attn_output.weight", WeightKind::kAttention, 7);
  expect("blk.7.ffn_up.weight", WeightKind::kFeedForward, 7);
  expect("bert.encoder.layer.0.attention.output.dense.weight", WeightKind::kAttention, 0);
  expect("encoder.layer.5.output.dense.weight", WeightKind::kFeedForward, 5);
  expect("h.2.attn.c_attn.weight", WeightKind::kAttention, 2);
  expect("lm_head.weight", WeightKind::kOutput, -1);
  expect("output.weight", WeightKind::kOutput, -1);
  expect("classifier.weight", WeightKind::kOther, -1);
}

TEST(FormatPlan, EncoderKeepsTablesAndPooler) {
  const FormatPolicy policy = make_policy(plan_of_name("int8"), {6, false, "embeddings.word_embeddings.weight"});
  EXPECT_EQ(policy(record("embeddings.word_embeddings.weight", 384)), Format::kF32);
  EXPECT_EQ(policy(record("embeddings.position_embeddings.weight", 384)), Format::kF32);
  EXPECT_EQ(policy(record("pooler.dense.weight", 384)), Format::kF32);
  EXPECT_EQ(policy(record("encoder.layer.0.output.dense.weight", 1536)), Format::kInt8);
}

TEST(FormatPlan, TiedEmbeddingTakesTheOutputFormat) {
  FormatPlan plan = plan_of_name("int4-g32");
  plan.layers[0] = Format::kInt8G32;
  plan.keep = {"blk.2.*"};
  const FormatPolicy policy = make_policy(plan, {30, true, "token_embd.weight"});
  EXPECT_EQ(policy(record("token_embd.weight", 576)), Format::kInt8G32);
  EXPECT_EQ(policy(record("blk.0.attn_q.weight", 576)), Format::kInt8G32);
  EXPECT_EQ(policy(record("blk.1.attn_q.weight", 576)), Format::kInt4G32);
  EXPECT_EQ(policy(record("blk.2.attn_q.weight", 576, Format::kQ4_1)), Format::kQ4_1);
}

TEST(FormatPlan, FallsBackToWhatFits) {
  EXPECT_EQ(fitting_format(Format::kInt4G128, 576), Format::kInt4G64);
  EXPECT_EQ(fitting_format(Format::kInt4G128, 1536), Format::kInt4G128);
  EXPECT_EQ(fitting_format(Format::kInt8G32, 100), Format::kInt8);
  EXPECT_EQ(fitting_format(Format::kQ4K, 576), Format::kQ5_0);
  EXPECT_EQ(fitting_format(Format::kQ6K, 576), Format::kQ8_0);
  for (const Format gguf : {Format::kQ8_0, Format::kQ4K, Format::kQ3K, Format::kIQ4NL}) EXPECT_EQ(fitting_format(gguf, 172), Format::kF16);
}

TEST(FormatPlan, MixesAreThoseOfLlamaCpp) {
  FormatPlan plan;
  plan.mix = "q4_k_m";
  const FormatPolicy policy = make_policy(plan, {32, false, "token_embd.weight"});
  EXPECT_EQ(policy(record("output.weight", 2048)), Format::kQ6K);
  EXPECT_EQ(policy(record("blk.0.attn_v.weight", 2048)), Format::kQ6K);  // first eighth
  EXPECT_EQ(policy(record("blk.4.attn_v.weight", 2048)), Format::kQ4K);
  EXPECT_EQ(policy(record("blk.6.ffn_down.weight", 2048)), Format::kQ6K);  // every third
  EXPECT_EQ(policy(record("blk.6.ffn_up.weight", 2048)), Format::kQ4K);
  EXPECT_EQ(policy(record("blk.31.ffn_down.weight", 2048)), Format::kQ6K);  // last eighth
}

// In the middle of the model, where q4_k_m has q6_k for what it knows the role of and q4_k for the rest.
TEST(FormatPlan, MixesKnowTheRolesOfAllArchitectures) {
  const FormatPolicy policy = make_policy(plan_of_name("q4_k_m"), {32, false, "wte.weight"});
  const auto expect = [&](const char* name, Format format) { EXPECT_EQ(policy(record(name, 2048)), format) << name; };
  for (const char* name : {"blk.6.attn_v.weight", "model.layers.6.self_attn.v_proj.weight", "model.layers.6.mlp.down_proj.weight",
                           "bert.encoder.layer.6.attention.self.value.weight", "encoder.layer.6.output.dense.weight",
                           "transformer.layer.6.attention.v_lin.weight", "transformer.layer.6.ffn.lin2.weight",
                           "encoder.layer.6.attention.attn.v.weight", "h.6.mlp.c_proj.weight", "layers.6.mlp.Wo.weight"}) {
    expect(name, Format::kQ6K);
  }
  for (const char* name : {"blk.6.attn_qkv.weight", "h.6.attn.c_attn.weight", "layers.5.attn.Wqkv.weight"}) expect(name, Format::kQ5K);
  for (const char* name : {"encoder.layer.6.attention.output.dense.weight", "encoder.layer.6.intermediate.dense.weight",
                           "h.6.attn.c_proj.weight", "h.6.mlp.c_fc.weight", "layers.6.attn.Wo.weight", "layers.6.mlp.Wi.weight"}) {
    expect(name, Format::kQ4K);
  }
  expect("wte.weight", Format::kQ4K);
  const PlanTarget encoder{12, false, "wte.weight", /*has_output=*/false};
  EXPECT_EQ(make_policy(plan_of_name("q4_k_m"), encoder)(record("wte.weight", 768)), Format::kQ6K);
  EXPECT_EQ(make_policy(plan_of_name("q4_k"), encoder)(record("wte.weight", 768)), Format::kF32);
}

TEST(FormatPlan, FileTypesAreThoseOfLlamaCpp) {
  EXPECT_EQ(gguf_file_type(plan_of_name("Q4_K_M")), 15U);
  EXPECT_EQ(gguf_file_type(plan_of_name("q8_0")), 7U);
  for (const std::string& name : plan_names()) {
    const FormatPlan plan = plan_of_name(name);
    EXPECT_EQ(gguf_file_type(plan).has_value(), !plan.body || ggml_type_of(*plan.body).has_value()) << name;
  }
}

TEST(FormatPlan, UnknownNameNamesTheKnownOnes) {
  try {
    plan_of_name("int3");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find("int4-g32"), std::string::npos);
  }
}

TEST(FormatPlan, Globs) {
  EXPECT_TRUE(matches_glob("*attn_v*", "blk.3.attn_v.weight"));
  EXPECT_TRUE(matches_glob("a*b*c", "aXbYbZc"));
  EXPECT_FALSE(matches_glob("attn_v", "blk.3.attn_v.weight"));
  EXPECT_FALSE(matches_glob("a*c", "ab"));
  EXPECT_TRUE(matches_glob("*", ""));
}

}  // namespace
}  // namespace citius
