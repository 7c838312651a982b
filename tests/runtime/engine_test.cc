// Opening a model whose parts do not fit each other in every detail.
#include "runtime/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/error.h"
#include "io/temp_dir.h"
#include "runtime/encoder.h"
#include "runtime/generator.h"
#include "support/tiny_model.h"

namespace citius {
namespace {

// Tokenizers of many models name tokens that the embedding was never given: only a text with one of them cannot be read.
TEST(Engine, TakesATokenizerWithMoreTokensThanTheEmbedding) {
  const std::filesystem::path golden = CITIUS_TEST_DIR "/golden/generate";
  const TempDir dir;
  for (const char* name : {"config.json", "model.safetensors", "tokenizer_config.json"}) {
    std::filesystem::copy_file(golden / name, dir.path() / name);
  }
  json::value tokenizer = read_json(golden / "tokenizer.json");
  json::array& added = tokenizer.at("added_tokens").as_array();
  json::object extra = added.at(0).as_object();
  constexpr int32_t kExtra = 330;
  extra["id"] = kExtra;
  extra["content"] = "<extra>";
  added.push_back(extra);
  dir.write("tokenizer.json", json::serialize(tokenizer));

  Engine engine = open_engine(dir.path());
  ASSERT_GT(static_cast<int64_t>(engine.tokenizer->vocab_size()), engine.model().config().vocab_size);
  Generator generator(engine);
  GenerationRequest request;
  request.max_tokens = 4;
  request.prompt = engine.tokenizer->encode_ids("anna lives");
  EXPECT_FALSE(generator.generate({&request, 1})[0].tokens.empty());
  request.prompt = engine.tokenizer->encode_ids("anna <extra>");
  EXPECT_THAT(request.prompt, testing::Contains(kExtra));
  EXPECT_THAT([&] { generator.generate({&request, 1}); }, testing::ThrowsMessage<Error>(testing::HasSubstr("330")));
  Encoder encoder(engine);
  const EncoderInput input{request.prompt, {}};
  EXPECT_THAT([&] { encoder.run({&input, 1}, [](const ForwardContext&, size_t, const TensorView&) {}); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("330")));
}

bool intel() {
#if defined(__x86_64__)
  return __builtin_cpu_is("intel") != 0;
#else
  return false;
#endif
}

// bf16 only where attention is faster by it, activations are rounded anyway and nobody named a type.
TEST(Engine, ChoosesTheTypeOfKeysAndValuesForTheWeights) {
  for (const std::string& isa : available_isas()) {
    EngineOptions options;
    options.isa = isa;
    options.num_threads = 1;
    const auto backend = make_backend("cpu", {1, isa});
    const KvType rounded = backend->multiplies_bf16() ? KvType::kBF16 : KvType::kF32;
    EXPECT_EQ(backend->multiplies_bf16(), isa == "avx512_bf16" || isa == "avx512_amx");
    for (const int64_t size : {16, 48, 64, 80, 128}) {
      EXPECT_EQ(backend->gains_bf16(size), intel() ? isa == "avx512_amx" && size % 32 == 0 : backend->multiplies_bf16())
          << isa << " " << size;
    }
    EXPECT_EQ(open_engine(test::tiny_llama(), options).kv_type, KvType::kF32) << isa;  // weights as given: fp32
    options.policy = [](const WeightRecord&) { return Format::kInt8; };
    EXPECT_EQ(open_engine(test::tiny_llama(), options).kv_type, rounded) << isa;
    options.compute = Compute::kExact;
    EXPECT_EQ(open_engine(test::tiny_llama(), options).kv_type, KvType::kF32) << isa;
    options.kv_type = KvType::kInt8;
    EXPECT_EQ(open_engine(test::tiny_llama(), options).kv_type, KvType::kInt8) << isa;
  }
}

// The larger part of what is multiplied decides, in decoders and encoders; what is only looked up does not count.
TEST(Engine, ChoosesTheTypeOfKeysAndValuesByTheMajorityOfWeights) {
  for (const Checkpoint& model : {test::tiny_llama(), test::tiny_bert()}) {
    EngineOptions options;
    options.num_threads = 1;
    std::vector<WeightRecord> records = open_engine(model, options).loaded.load.records;
    std::set<std::string> rounded;
    std::erase_if(records, [&](const WeightRecord& record) {
      if (record.looked_up) rounded.insert(record.name);
      return record.looked_up;
    });
    int64_t all = 0, sum = 0;
    for (const WeightRecord& record : records) all += record.rows * record.cols;
    options.policy = [&](const WeightRecord& record) { return rounded.contains(record.name) ? Format::kInt8 : record.stored; };
    for (const WeightRecord& record : records) {
      const bool most = 2 * sum > all;
      for (const std::string& isa : available_isas()) {
        options.isa = isa;
        const auto backend = make_backend("cpu", {1, isa});
        const bool gains = model.config.at("model_type") == "llama" ? backend->multiplies_bf16() : backend->gains_bf16(/*head_dim=*/32);
        EXPECT_EQ(open_engine(model, options).kv_type, most && gains ? KvType::kBF16 : KvType::kF32)
            << model.path << " " << isa << " " << sum;
      }
      rounded.insert(record.name);
      sum += record.rows * record.cols;
    }
    EXPECT_GT(2 * sum, all);
  }
}

}  // namespace
}  // namespace citius
