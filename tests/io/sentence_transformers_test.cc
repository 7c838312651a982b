// What sentence-transformers reads beside a model, and what is refused because it would change vectors.
#include "io/sentence_transformers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/companion_files.h"
#include "io/gguf.h"
#include "io/gguf_writer.h"
#include "io/temp_dir.h"

namespace citius {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(SentenceTransformers, LengthLimitHasManyNames) {
  for (const char* name : {"bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"}) {
    const TempDir dir;
    const std::string file = std::string("sentence_") + name + "_config.json";
    dir.write(file, R"({"max_seq_length": 5})");
    EXPECT_EQ(read_sentence_transformers(dir.path()).max_seq_length, 5) << name;
    dir.write(file, R"({"max_seq_length": 5, "do_lower_case": true})");
    EXPECT_THAT([&] { read_sentence_transformers(dir.path()); }, ThrowsMessage<Error>(HasSubstr("do_lower_case"))) << name;
    EXPECT_THAT(companion_files(dir.path()), testing::Contains(file));  // a package takes it along
  }
  const TempDir dir;
  dir.write("sentence_roberta_config.json", R"({"max_seq_length": 5})");
  dir.write("sentence_bert_config.json", R"({"max_seq_length": 7})");
  EXPECT_EQ(read_sentence_transformers(dir.path()).max_seq_length, 7);
}

TEST(SentenceTransformers, TruncationIsReadOrRefused) {
  const TempDir dir;
  EXPECT_EQ(read_sentence_transformers(dir.path()).truncate_dim, std::nullopt);
  dir.write("config_sentence_transformers.json", R"({"truncate_dim": 8})");
  EXPECT_EQ(read_sentence_transformers(dir.path()).truncate_dim, 8);
  dir.write("config_sentence_transformers.json", R"({"truncate_dim": 0})");
  EXPECT_THAT([&] { read_sentence_transformers(dir.path()); }, ThrowsMessage<Error>(HasSubstr("truncate_dim")));
}

TEST(SentenceTransformers, PoolingIsNotInvented) {
  const TempDir dir;
  EXPECT_EQ(read_sentence_transformers(dir.path()).pooling, std::vector<std::string>{"mean"});
  dir.write("modules.json", R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}])");
  EXPECT_THAT([&] { read_sentence_transformers(dir.path()); }, ThrowsMessage<Error>(HasSubstr("no Pooling")));
}

TEST(SentenceTransformers, AGivenPoolingNeedsNoneInTheFiles) {
  const TempDir dir;
  const SentenceTransformersConfig bare = read_sentence_transformers(dir.path(), "cls");
  EXPECT_EQ(bare.pooling, std::vector<std::string>{"cls"});
  EXPECT_FALSE(bare.pooling_assumed);
  const std::string head = R"({"path": "", "type": "models.Transformer"})", pooling = R"({"path": "1", "type": "models.Pooling"})",
                    normalize = R"({"path": "", "type": "models.Normalize"})";
  dir.write("1/config.json", "{}");
  for (const std::string& list : {head, head + "," + normalize, head + "," + pooling, head + "," + pooling + "," + normalize}) {
    dir.write("modules.json", "[" + list + "]");
    EXPECT_THROW(read_sentence_transformers(dir.path()), Error) << list;
    const SentenceTransformersConfig config = read_sentence_transformers(dir.path(), "cls");
    EXPECT_EQ(config.pooling, std::vector<std::string>{"cls"}) << list;
    EXPECT_EQ(config.steps.size(), list.ends_with(normalize) ? 1U : 0U) << list;
  }
  dir.write("modules.json", "[" + head + "," + normalize + "," + pooling + "]");
  EXPECT_THROW(read_sentence_transformers(dir.path(), "cls"), Error);
}

TEST(SentenceTransformers, AGivenPoolingReplacesThatOfAGgufFile) {
  const TempDir dir;
  const auto source = GgufFile::open(CITIUS_TEST_DIR "/golden/io/types.gguf");
  const std::string key = source->get_string("general.architecture").value_or("") + ".pooling_type";
  for (const uint32_t type : {0, 2, 4}) {
    const std::filesystem::path path = dir.path() / (std::to_string(type) + ".gguf");
    GgufWriter(path, *source, {}, {{key, type}}).commit();
    Checkpoint checkpoint;
    checkpoint.path = path;
    checkpoint.gguf = GgufFile::open(path);
    if (type == 2) {
      EXPECT_EQ(read_sentence_transformers(checkpoint).pooling, std::vector<std::string>{"cls"});
    } else {
      EXPECT_THAT([&] { read_sentence_transformers(checkpoint); }, ThrowsMessage<Error>(HasSubstr("--pooling")));
    }
    EXPECT_EQ(read_sentence_transformers(checkpoint, "lasttoken").pooling, std::vector<std::string>{"lasttoken"});
  }
}

}  // namespace
}  // namespace citius
