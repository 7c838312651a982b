// Damaged and malicious files: each is refused with Error{kInput} that says why, quickly, or read without a fault.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>

#include "base/error.h"
#include "base/rng.h"
#include "io/checkpoint.h"
#include "io/config.h"
#include "io/gguf.h"
#include "io/safetensors.h"
#include "io/temp_dir.h"

namespace citius {
namespace {

using testing::HasSubstr;

const std::string kGolden = CITIUS_TEST_DIR "/golden/io/";

template <typename F>
std::string error_of(const F& read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput) << error.what();
    return error.what();
  }
  return "accepted";
}

void read_all(const TensorContainer& container) {
  for (const std::string& name : container.names()) {
    const OwnedMatrix owned = container.matrix(name);
    if (owned.matrix.rows < 1 || owned.matrix.cols > 1 << 20) continue;
    std::vector<float> row(static_cast<size_t>(owned.matrix.cols));
    decode_row(owned.matrix.format, owned.matrix.row(owned.matrix.rows - 1), owned.matrix.cols, row.data());
  }
}

template <typename T>
std::string bytes_of(T value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
std::string text_of(std::string_view text) { return bytes_of<uint64_t>(text.size()) + std::string(text); }

// A GGUF file made by hand.
struct GgufBuilder {
  uint32_t version = 3;
  std::vector<std::string> values, tensors;
  std::string data;
  std::optional<uint64_t> num_values, num_tensors;

  void u32(std::string_view key, uint32_t value) { values.push_back(text_of(key) + bytes_of<uint32_t>(4) + bytes_of(value)); }
  void string(std::string_view key, std::string_view value) { values.push_back(text_of(key) + bytes_of<uint32_t>(8) + text_of(value)); }
  void tensor(std::string_view name, std::vector<uint64_t> dims, uint32_t type, uint64_t offset) {
    std::string info = text_of(name) + bytes_of(static_cast<uint32_t>(dims.size()));
    for (uint64_t dim : dims) info += bytes_of(dim);
    tensors.push_back(info + bytes_of(type) + bytes_of(offset));
  }
  std::string build() const {
    std::string file =
        "GGUF" + bytes_of(version) + bytes_of(num_tensors.value_or(tensors.size())) + bytes_of(num_values.value_or(values.size()));
    for (const std::string& value : values) file += value;
    for (const std::string& tensor : tensors) file += tensor;
    file.resize((file.size() + 31) / 32 * 32, '\0');
    return file + data;
  }
};

class Hostile : public testing::Test {
 protected:
  std::string gguf_error(const std::string& content) {
    const auto path = dir_.write("x.gguf", content);
    return error_of([&] { read_all(*GgufFile::open(path)); });
  }
  template <typename F>
  std::string gguf_error(const F& change)
    requires std::invocable<F, GgufBuilder&>
  {
    GgufBuilder builder;
    change(builder);
    return gguf_error(builder.build());
  }
  TempDir dir_;
};

TEST_F(Hostile, GgufHeaders) {
  EXPECT_EQ(gguf_error([](GgufBuilder&) {}), "accepted");
  EXPECT_EQ(gguf_error([](GgufBuilder& b) { b.version = 2; }), "accepted");
  EXPECT_THAT(gguf_error(""), HasSubstr("truncated"));
  EXPECT_THAT(gguf_error("GGML1234567890123456"), HasSubstr("not a GGUF file"));
  EXPECT_THAT(gguf_error([](GgufBuilder& b) { b.version = 1; }), HasSubstr("version 1"));
  EXPECT_THAT(gguf_error([](GgufBuilder& b) { b.version = 0x03000000; }), HasSubstr("big-endian"));
  EXPECT_THAT(gguf_error([](GgufBuilder& b) { b.num_tensors = uint64_t{1} << 62; }), HasSubstr("claims"));
  EXPECT_THAT(gguf_error([](GgufBuilder& b) { b.num_values = ~uint64_t{0}; }), HasSubstr("claims"));
}

TEST_F(Hostile, GgufMetadata) {
  const auto with = [&](const std::string& value) { return gguf_error([&](GgufBuilder& b) { b.values.push_back(value); }); };
  EXPECT_THAT(with(text_of("k") + bytes_of<uint32_t>(13)), HasSubstr("unknown type 13"));
  EXPECT_THAT(with(bytes_of<uint64_t>(uint64_t{1} << 60) + "k"), HasSubstr("ends early"));
  EXPECT_THAT(with(text_of("k") + bytes_of<uint32_t>(7) + "\x02"), HasSubstr("truth value"));
  EXPECT_THAT(with(text_of("k") + bytes_of<uint32_t>(8) + bytes_of<uint64_t>(~uint64_t{0})), HasSubstr("ends early"));
  EXPECT_THAT(with(text_of("k") + bytes_of<uint32_t>(9) + bytes_of<uint32_t>(6) + bytes_of<uint64_t>(uint64_t{1} << 62)),
              HasSubstr("elements"));
  std::string nested = text_of("k") + bytes_of<uint32_t>(9);
  for (int depth = 0; depth < 6; ++depth) nested += bytes_of<uint32_t>(9) + bytes_of<uint64_t>(1);
  EXPECT_THAT(with(nested + bytes_of<uint32_t>(0) + bytes_of<uint64_t>(0)), HasSubstr("deep"));
  EXPECT_THAT(gguf_error([](GgufBuilder& b) { b.u32("k", 1), b.u32("k", 2); }), HasSubstr("twice"));
  EXPECT_THAT(gguf_error([](GgufBuilder& b) { b.u32("general.alignment", 0); }), HasSubstr("power of two"));
  EXPECT_THAT(gguf_error([](GgufBuilder& b) { b.u32("general.alignment", 48); }), HasSubstr("power of two"));
  EXPECT_THAT(gguf_error([](GgufBuilder& b) { b.string("general.alignment", "x"); }), HasSubstr("expected u32"));
}

TEST_F(Hostile, GgufTensors) {
  const auto with = [&](std::vector<uint64_t> dims, uint32_t type, uint64_t offset, size_t data) {
    return gguf_error([&](GgufBuilder& b) {
      b.tensor("w", dims, type, offset);
      b.data = std::string(data, 'x');
    });
  };
  EXPECT_EQ(with({32, 2}, 8, 0, 68), "accepted");
  EXPECT_THAT(with({32, 2}, 8, 0, 67), HasSubstr("truncated"));
  EXPECT_THAT(with({32, 2}, 8, 0, 200), HasSubstr("after the last tensor"));
  EXPECT_THAT(with({33, 2}, 8, 0, 200), HasSubstr("multiple of 32"));
  EXPECT_THAT(with({32, 2}, 8, 32, 100), HasSubstr("hole"));
  EXPECT_THAT(with({32, 2}, 8, 7, 100), HasSubstr("hole"));
  EXPECT_THAT(with({32, 2}, 8, ~uint64_t{0} - 10, 100), HasSubstr("truncated"));
  EXPECT_THAT(with({0}, 0, 0, 0), HasSubstr("impossible dimension"));
  EXPECT_THAT(with({uint64_t{1} << 40, uint64_t{1} << 40}, 0, 0, 0), HasSubstr("impossible dimension"));
  EXPECT_THAT(with({}, 0, 0, 0), HasSubstr("0 dimensions"));
  EXPECT_THAT(with({1, 1, 1, 1, 1}, 0, 0, 4), HasSubstr("5 dimensions"));
  EXPECT_THAT(with({256}, 16, 0, 66), HasSubstr("IQ2_XXS"));
  EXPECT_THAT(with({32}, 9, 0, 36), HasSubstr("Q8_1"));
  EXPECT_THAT(with({32}, 777, 0, 36), HasSubstr("unknown type 777"));
  EXPECT_THAT(gguf_error([](GgufBuilder& b) {
                b.tensor("w", {8}, 0, 0), b.tensor("v", {8}, 0, 0);
                b.data = std::string(64, 'x');
              }),
              HasSubstr("overlap"));
  EXPECT_THAT(gguf_error([](GgufBuilder& b) {
                b.tensor("w", {8}, 0, 0), b.tensor("w", {8}, 0, 32);
                b.data = std::string(64, 'x');
              }),
              HasSubstr("twice"));
}

TEST_F(Hostile, GgufParts) {
  const auto part = [&](uint32_t number, uint32_t count, const std::string& tensor) {
    GgufBuilder b;
    b.u32("split.no", number), b.u32("split.count", count), b.u32("split.tensors.count", 2);
    b.tensor(tensor, {8}, 0, 0);
    b.data = std::string(32, '\0');
    return b.build();
  };
  const auto first = dir_.write("m-00001-of-00002.gguf", part(0, 2, "a"));
  EXPECT_THAT(error_of([&] { GgufFile::open(first); }), HasSubstr("cannot open"));
  const auto second = dir_.write("m-00002-of-00002.gguf", part(1, 2, "b"));
  EXPECT_EQ(GgufFile::open(first)->names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_THAT(error_of([&] { GgufFile::open(second); }), HasSubstr("give the first part"));
  dir_.write("m-00002-of-00002.gguf", part(1, 2, "a"));
  EXPECT_THAT(error_of([&] { GgufFile::open(first); }), HasSubstr("another part"));
  dir_.write("m-00002-of-00002.gguf", part(0, 2, "b"));
  EXPECT_THAT(error_of([&] { GgufFile::open(first); }), HasSubstr("split.no"));
  const auto renamed = dir_.write("other.gguf", part(0, 2, "a"));
  EXPECT_THAT(error_of([&] { GgufFile::open(renamed); }), HasSubstr("should end in"));
  dir_.write("m-00001-of-00002.gguf", part(0, 4000000000, "a"));
  EXPECT_THAT(error_of([&] { GgufFile::open(first); }), HasSubstr("split.count"));
}

TEST_F(Hostile, EveryTruncation) {
  const std::string gguf = read_file(kGolden + "types.gguf", 1 << 20);
  for (size_t size = 0; size + 64 < gguf.size(); size += size < 1200 ? 1 : 37) {
    EXPECT_NE(gguf_error(gguf.substr(0, size)), "accepted") << size;
  }
  const std::string safetensors = read_file(kGolden + "types.safetensors", 1 << 20);
  for (size_t size = 0; size < safetensors.size(); size += 3) {
    const auto path = dir_.write("x.safetensors", safetensors.substr(0, size));
    EXPECT_NE(error_of([&] { SafetensorsFile file(path); }), "accepted") << size;
  }
}

TEST_F(Hostile, RandomMutations) {
  const CounterRng rng(99);
  const std::string gguf = read_file(kGolden + "types.gguf", 1 << 20);
  const std::string safetensors = read_file(kGolden + "types.safetensors", 1 << 20);
  int refused = 0;
  for (uint64_t round = 0; round < 3000; ++round) {
    std::string bad = round % 2 == 0 ? gguf : safetensors;
    for (uint64_t change = 0; change < 1 + round % 3; ++change) {
      const uint64_t random = rng.bits(round * 4 + change);
      bad[random % std::min<size_t>(bad.size(), 1400)] = static_cast<char>(random >> 40);
    }
    const auto path = dir_.write(round % 2 == 0 ? "x.gguf" : "model.safetensors", bad);
    const std::string result = error_of([&] {
      if (round % 2 == 0) {
        const auto file = GgufFile::open(path);
        read_all(*file);
        for (const std::string& key : file->keys()) (void)file->describe(key);
      } else {
        read_all(*open_safetensors(dir_.path()));
      }
    });
    refused += result != "accepted";
  }
  EXPECT_GT(refused, 500);  // and the rest hit values or names
}

TEST_F(Hostile, SafetensorsHeaders) {
  const auto error = [&](const std::string& header, size_t data) {
    const auto path = dir_.write("x.safetensors", bytes_of<uint64_t>(header.size()) + header + std::string(data, '\0'));
    return error_of([&] { SafetensorsFile file(path); });
  };
  EXPECT_EQ(error("{}", 0), "accepted");
  EXPECT_EQ(error(R"({"a":{"dtype":"I8","shape":[],"data_offsets":[0,1]}}   )", 1), "accepted");
  EXPECT_NE(error(R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}}x)", 1), "accepted");
  EXPECT_THAT(error(R"({"a":{"dtype":"I8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", 1), HasSubstr("twice"));
  EXPECT_THAT(error(R"({"__metadata__":{"a":"x","a":"y"}})", 0), HasSubstr("twice"));
  EXPECT_THAT(error(R"({"__metadata__":{},"__metadata__":{}})", 0), HasSubstr("twice"));
  EXPECT_THAT(error(R"({"a":{"dtype":"I8","shape":[1]}})", 0), HasSubstr("lacks"));
  EXPECT_THAT(error(R"({"a":{"dtype":"I8","shape":[1.5],"data_offsets":[0,1]}})", 1), HasSubstr("fraction"));
  EXPECT_THAT(error(R"({"a":{"dtype":"I8","shape":[[1]],"data_offsets":[0,1]}})", 1), HasSubstr("array"));
  EXPECT_THAT(error(R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[0,1,2]}})", 1), HasSubstr("expected 2"));
  EXPECT_THAT(error(R"({"a":{"dtype":"I8","shape":[1],"data_offsets":[1,0]}})", 1), HasSubstr("offsets"));
  EXPECT_EQ(error(R"({"a":{"dtype":"I8","shape":[7,0],"data_offsets":[0,0]}})", 0), "accepted");
  EXPECT_THAT(error(R"({"a":{"dtype":"I8","shape":[281474976710656,281474976710656,0],"data_offsets":[0,0]}})", 0),
              HasSubstr("impossible"));
  EXPECT_THAT(error(R"({"a":[1]})", 1), HasSubstr("array"));
  EXPECT_THAT(error(R"({"a":{"b":{"c":1}}})", 1), HasSubstr("unexpected key"));
  EXPECT_NE(error("{\"a\":" + std::string(100000, '{'), 0), "accepted");
  EXPECT_THAT(error(R"({"a":{"dtype":"U16","shape":[1],"data_offsets":[0,2]}})", 2), HasSubstr("U16"));
  std::string many = "{";
  for (int i = 0; i < 300000; ++i) many += fmt::format(R"("{}":{{"dtype":"I8","shape":[0],"data_offsets":[0,0]}},)", i);
  many.back() = '}';
  EXPECT_THAT(error(many, 0), HasSubstr("more than"));
}

TEST_F(Hostile, Configurations) {
  const auto error = [&](const std::string& text) {
    const auto path = dir_.write("config.json", text);
    return error_of([&] { open_checkpoint(path).model_type(); });
  };
  EXPECT_EQ(error(R"({"model_type":"bert"})"), "accepted");
  EXPECT_THAT(error(""), HasSubstr("JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(error("{}"), HasSubstr("model_type"));
  EXPECT_THAT(error(R"({"model_type":7})"), HasSubstr("expected a string"));
  EXPECT_THAT(error(R"({"model_type":"x","rope_parameters":{"rope_theta":"y"}})"), HasSubstr("rope_theta"));
  EXPECT_THAT(error(std::string(100, '[') + std::string(100, ']')), HasSubstr("JSON"));
  dir_.write("config.json", R"({"model_type":"llama","quantization_config":{"quant_method":"gptq"}})");
  EXPECT_THAT(error_of([&] { open_checkpoint(dir_.path()); }), HasSubstr("gptq"));
  dir_.write("config.json", R"({"model_type":"llama"})");
  EXPECT_EQ(error_of([&] { open_checkpoint(dir_.path()); }), "accepted");
  for (const char* name :
       {"model.onnx", "pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "x.PTH", "model-00001-of-00002.safetensors"}) {
    const auto weights = dir_.write(name, "");
    EXPECT_THAT(error_of([&] { open_checkpoint(dir_.path()); }), testing::AllOf(HasSubstr(name), HasSubstr("expected model.safetensors")));
    std::filesystem::remove(weights);
  }
  ASSERT_EQ(::mkfifo((dir_.path() / "pipe.gguf").c_str(), 0600), 0);
  EXPECT_THAT(error_of([&] { open_checkpoint(dir_.path() / "pipe.gguf"); }), HasSubstr("regular file"));
  EXPECT_THAT(error_of([&] { open_checkpoint(dir_.path() / "gone"); }), HasSubstr("does not exist"));
  std::filesystem::create_symlink("loop", dir_.path() / "loop");
  EXPECT_NE(error_of([&] { open_checkpoint(dir_.path() / "loop"); }), "accepted");
}

TEST(Config, Transformers5BecomesTransformers4) {
  const json::object config = normalize_config(
      json::parse(R"({"rope_parameters":{"rope_type":"llama3","rope_theta":5e5,"factor":8.0},"dtype":"bfloat16"})").as_object(), "x");
  EXPECT_EQ(config.at("rope_theta").as_double(), 5e5);
  EXPECT_EQ(config.at("rope_scaling").at("rope_type").as_string(), "llama3");
  EXPECT_FALSE(config.at("rope_scaling").as_object().contains("rope_theta"));
  EXPECT_EQ(config.at("torch_dtype").as_string(), "bfloat16");
  const json::object plain =
      normalize_config(json::parse(R"({"rope_parameters":{"rope_type":"default","rope_theta":1e4}})").as_object(), "x");
  EXPECT_FALSE(plain.contains("rope_scaling"));
  const json::object layered = normalize_config(
      json::parse(R"({"rope_parameters":{"full_attention":{"rope_theta":1e4},"sliding_attention":{"rope_theta":2e4}}})").as_object(), "x");
  EXPECT_FALSE(layered.contains("rope_theta"));
}

TEST_F(Hostile, GgufConfigurations) {
  const auto config = [&](const auto& change) {
    GgufBuilder b;
    b.string("general.architecture", "llama");
    b.u32("llama.embedding_length", 64), b.u32("llama.attention.head_count", 4), b.u32("llama.block_count", 2);
    change(b);
    return config_from_gguf(*GgufFile::open(dir_.write("x.gguf", b.build())));
  };
  EXPECT_EQ(config([](GgufBuilder&) {}).at("head_dim").as_int64(), 16);
  const json::object yarn = config([](GgufBuilder& b) {
    b.string("llama.rope.scaling.type", "yarn"), b.u32("llama.rope.scaling.factor", 4), b.u32("llama.rope.dimension_count", 8);
  });
  EXPECT_EQ(yarn.at("rope_scaling").at("factor").to_number<double>(), 4);
  EXPECT_EQ(yarn.at("partial_rotary_factor").as_double(), 0.5);
  const auto scaled = [&](const char* kind) {
    return config([&](GgufBuilder& b) {
      b.string("llama.rope.scaling.type", kind), b.u32("llama.rope.scaling.factor", 4), b.u32("llama.rope.scaling.attn_factor", 2);
    });
  };
  EXPECT_EQ(scaled("yarn").at("rope_scaling").at("gguf_attn_factor").to_number<double>(), 2);
  EXPECT_THROW(scaled("linear"), Error);
  EXPECT_THROW(config([](GgufBuilder& b) { b.u32("llama.expert_count", 8); }), Error);
  EXPECT_THROW(config([](GgufBuilder& b) { b.string("llama.rope.scaling.type", "longrope"); }), Error);
  EXPECT_THROW(config([](GgufBuilder& b) { b.string("llama.context_length", "x"); }), Error);
  EXPECT_THROW(config([](GgufBuilder& b) {
                 b.values.push_back(text_of("llama.feed_forward_length") + bytes_of<uint32_t>(9) + bytes_of<uint32_t>(4) +
                                    bytes_of<uint64_t>(2) + bytes_of<uint32_t>(1) + bytes_of<uint32_t>(2));
               }),
               Error);
}

}  // namespace
}  // namespace citius
