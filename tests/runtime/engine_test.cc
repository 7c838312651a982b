// Opening a model whose parts do not fit each other in every detail.
#include "runtime/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/temp_dir.h"
#include "runtime/encoder.h"
#include "runtime/generator.h"

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

}  // namespace
}  // namespace citius
