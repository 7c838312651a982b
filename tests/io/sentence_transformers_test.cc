// What sentence-transformers reads beside a model, and what is refused because it would change vectors.
#include "io/sentence_transformers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "io/companion_files.h"
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

}  // namespace
}  // namespace citius
