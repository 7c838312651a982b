// safetensors and GGUF files written by the reference packages, read back: every type, shapes, metadata.
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "io/checkpoint.h"
#include "io/gguf.h"
#include "io/safetensors.h"
#include "io/temp_dir.h"

namespace citius {
namespace {

const std::string kGolden = CITIUS_TEST_DIR "/golden/io/";

std::vector<float> decode(const OwnedMatrix& owned) {
  const EncodedMatrix& m = owned.matrix;
  std::vector<float> values(static_cast<size_t>(m.rows * m.cols));
  for (int64_t i = 0; i < m.rows; ++i) decode_row(m.format, m.row(i), m.cols, values.data() + i * m.cols);
  return values;
}

void expect_tensors(const TensorContainer& container, std::string_view which) {
  const json::value document = read_json(kGolden + "expected.json");
  const JsonObject expected = JsonObject(document, "expected.json").get_object(which);
  EXPECT_EQ(container.names().size(), expected.object().size());
  for (const auto& item : expected.object()) {
    const JsonObject tensor = expected.get_object(item.key());
    ASSERT_TRUE(container.has(item.key())) << item.key();
    const Shape shape = container.shape(item.key());
    const json::array& dims = tensor.get_array("shape");
    ASSERT_EQ(shape.rank(), static_cast<int>(dims.size())) << item.key();
    for (int axis = 0; axis < shape.rank(); ++axis) EXPECT_EQ(shape[axis], dims[static_cast<size_t>(axis)].to_number<int64_t>());
    const std::vector<float> got = decode(container.matrix(item.key()));
    const json::array& want = tensor.get_array("values");
    ASSERT_EQ(got.size(), want.size()) << item.key();
    for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], want[i].to_number<float>()) << item.key() << " " << i;
  }
}

std::shared_ptr<const TensorContainer> open_as_model(const TempDir& dir) { return open_safetensors(dir.path()); }

TEST(SafetensorsFiles, ReadsEveryType) {
  const TempDir dir;
  dir.write("model.safetensors", read_file(kGolden + "types.safetensors", 1 << 20));
  const auto container = open_as_model(dir);
  ASSERT_NE(container, nullptr);
  EXPECT_FALSE(container->is_gguf());
  expect_tensors(*container, "safetensors");
  EXPECT_TRUE(container->is_float("x.float8_e4m3fn"));
  EXPECT_FALSE(container->is_float("x.int8"));
  EXPECT_EQ(SafetensorsFile(kGolden + "types.safetensors").metadata().at("note"), "café ✓");
}

TEST(SafetensorsFiles, WritesWhatItReads) {
  const TempDir dir;
  const float values[6] = {1, -2, 3, 0.5f, 1e-8f, 7};
  write_safetensors(dir.path() / "model.safetensors",
                    {{"a", DType::kF32, {2, 3}, std::as_bytes(std::span(values))}, {"none", DType::kI8, {0, 7}, {}}}, {{"k", "v\"\n"}});
  const SafetensorsFile file(dir.path() / "model.safetensors");
  EXPECT_EQ(file.entries().size(), 2u);
  EXPECT_EQ(file.metadata().at("k"), "v\"\n");
  EXPECT_EQ(decode(open_as_model(dir)->matrix("a")), std::vector<float>(values, values + 6));
}

TEST(SafetensorsFiles, Shards) {
  const TempDir dir;
  const float values[4] = {1, 2, 3, 4};
  const auto bytes = std::as_bytes(std::span(values));
  write_safetensors(dir.path() / "m-1.safetensors", {{"a", DType::kF32, {4}, bytes}});
  write_safetensors(dir.path() / "m-2.safetensors", {{"b", DType::kF32, {2, 2}, bytes}});
  const auto index = [&](const std::string& map) { dir.write("model.safetensors.index.json", "{\"weight_map\":" + map + "}"); };
  index(R"({"a":"m-1.safetensors","b":"m-2.safetensors"})");
  EXPECT_EQ(open_as_model(dir)->names().size(), 2u);
  for (const char* bad :
       {R"({"a":"m-1.safetensors"})",                                              // fewer: fine, but see below
        R"({"a":"m-1.safetensors","b":"m-2.safetensors","c":"m-2.safetensors"})",  // in no file
        R"({"a":"m-2.safetensors","b":"m-1.safetensors"})",                        // swapped
        R"({"a":"../m-1.safetensors"})", R"({"a":7})", R"([])", R"({"a":"gone.safetensors"})", R"({"a":"model.safetensors.index.json"})"}) {
    index(bad);
    if (std::string_view(bad) == R"({"a":"m-1.safetensors"})") {
      EXPECT_EQ(open_as_model(dir)->names().size(), 1u);
    } else {
      EXPECT_THROW(open_as_model(dir), Error) << bad;
    }
  }
}

TEST(Gguf, ReadsTensorsAndMetadata) {
  const auto gguf = GgufFile::open(kGolden + "types.gguf");
  EXPECT_TRUE(gguf->is_gguf());
  expect_tensors(*gguf, "gguf");
  EXPECT_EQ(gguf->get_int("a.u8"), 250);
  EXPECT_EQ(gguf->get_int("a.i8"), -5);
  EXPECT_EQ(gguf->get_int("a.u16"), 65000);
  EXPECT_EQ(gguf->get_int("a.i16"), -30000);
  EXPECT_EQ(gguf->get_int("a.u32"), 4000000000);
  EXPECT_EQ(gguf->get_int("a.i32"), -2000000000);
  EXPECT_EQ(gguf->get_int("a.i64"), -(int64_t{1} << 62));
  EXPECT_EQ(gguf->describe("a.u64"), "9223372036854775813");
  EXPECT_THROW(gguf->get_int("a.u64"), Error);
  EXPECT_EQ(gguf->get_number("a.f32"), 0.5);
  EXPECT_EQ(gguf->get_number("a.f64"), 1e-300);
  EXPECT_EQ(gguf->get_bool("a.bool"), true);
  EXPECT_EQ(gguf->get_string("a.string"), "café ✓");
  EXPECT_EQ(gguf->get_strings("a.strings"), (std::vector<std::string>{"x", "", "中文"}));
  EXPECT_EQ(gguf->get_ints("a.ints"), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(gguf->get_floats("a.floats"), (std::vector<float>{0.25f, -1.5f}));
  EXPECT_EQ(gguf->find("a.bools")->count, 2u);
  EXPECT_EQ(gguf->find("a.nested")->count, 2u);
  EXPECT_EQ(gguf->get_int("absent"), std::nullopt);
  EXPECT_THROW(gguf->get_int("a.string"), Error);
  EXPECT_THROW(gguf->get_strings("a.ints"), Error);
  EXPECT_THROW(gguf->get_bool("a.u8"), Error);
}

TEST(Gguf, SharedFilesOpen) {
  const std::filesystem::path data = shared_data();
  if (!std::filesystem::exists(data)) GTEST_SKIP() << "no shared data at " << data;
  const Checkpoint stories = open_checkpoint(data / "models/stories260K/stories260K.gguf");
  EXPECT_EQ(stories.model_type(), "llama");
  const JsonObject config(stories.config, "config");
  EXPECT_EQ(config.get_int("hidden_size"), 64);
  EXPECT_EQ(config.get_int("num_hidden_layers"), 5);
  EXPECT_EQ(config.get_int("num_attention_heads"), 8);
  EXPECT_EQ(config.get_int("num_key_value_heads"), 4);
  EXPECT_EQ(config.get_int("vocab_size"), 512);
  EXPECT_EQ(config.get_int("head_dim"), 8);
  EXPECT_FALSE(config.get_bool("tie_word_embeddings"));
  EXPECT_EQ(stories.weights->names().size(), 48u);
  EXPECT_EQ(stories.weights->shape("blk.0.attn_k.weight"), (Shape{32, 64}));
  int vocabularies = 0;
  for (const auto& entry : std::filesystem::directory_iterator(data / "tokenizers/gguf_vocab")) {
    if (entry.path().extension() != ".gguf") continue;
    const Checkpoint vocabulary = open_checkpoint(entry.path());
    EXPECT_TRUE(vocabulary.gguf->has_key("tokenizer.ggml.tokens")) << entry.path();
    ++vocabularies;
  }
  EXPECT_GT(vocabularies, 5);
}

}  // namespace
}  // namespace citius
