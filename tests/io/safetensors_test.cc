#include "io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "base/error.h"

namespace citius {
namespace {

class Safetensors : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / ("citius_safetensors_" + std::to_string(::getpid()));
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path write(const std::string& header, const std::string& data, int64_t size = -1) {
    std::string text;
    const auto length = static_cast<uint64_t>(size < 0 ? static_cast<int64_t>(header.size()) : size);
    for (int i = 0; i < 8; ++i) text += static_cast<char>(length >> (8 * i));
    write_file(directory_ / "model.safetensors", text + header + data);
    return directory_ / "model.safetensors";
  }

  std::string error_of(const std::string& header, const std::string& data, int64_t size = -1) {
    try {
      SafetensorsFile file(write(header, data, size));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kInput);
      return error.what();
    }
    return "accepted";
  }

  std::filesystem::path directory_;
};

TEST_F(Safetensors, ReadsWhatItWrites) {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6};
  const std::vector<uint16_t> b = {0x3c00, 0xc000};
  write_safetensors(
      directory_ / "model.safetensors",
      {{"x.weight", DType::kF32, {2, 3}, std::as_bytes(std::span(a))}, {"x.bias", DType::kF16, {2}, std::as_bytes(std::span(b))}},
      {{"format", "pt"}});
  const auto container = open_safetensors(directory_);
  ASSERT_NE(container, nullptr);
  const WeightSource source(container);
  EXPECT_EQ(source.scope("x").vector("bias", 2), (std::vector<float>{1, -2}));
  EXPECT_THROW(source.finish(), Error);  // x.weight was not read
  const OwnedMatrix matrix = source.matrix("x.weight", 2, 3);
  EXPECT_EQ(std::memcmp(matrix.matrix.data, a.data(), sizeof(float) * a.size()), 0);
  source.finish();
  EXPECT_THROW(source.matrix("x.weight", 3, 2), Error);
  EXPECT_THROW(source.vector("y", 2), Error);
}

TEST_F(Safetensors, RefusesDamagedHeaders) {
  const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  const std::string data(8, '\0');
  EXPECT_EQ(error_of(good, data), "accepted");
  EXPECT_THAT(error_of(good, data + "x"), testing::HasSubstr("after the last tensor"));
  EXPECT_THAT(error_of(good, data.substr(1)), testing::HasSubstr("truncated"));
  EXPECT_THAT(error_of(good, data, int64_t{1} << 40), testing::HasSubstr("header size"));
  EXPECT_THAT(error_of(good, data, -2), testing::HasSubstr(""));
  EXPECT_THAT(error_of(good.substr(0, 20), data), testing::HasSubstr("JSON"));
  EXPECT_THAT(error_of("[]", ""), testing::HasSubstr("expected an object"));
  EXPECT_THAT(
      error_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", data),
      testing::HasSubstr("twice"));
  EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", data), testing::HasSubstr("hole"));
  EXPECT_THAT(
      error_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", data),
      testing::HasSubstr("overlaps"));
  EXPECT_THAT(error_of(R"({"a":{"dtype":"F4","shape":[2],"data_offsets":[0,8]}})", data), testing::HasSubstr("not supported"));
  EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", data), testing::HasSubstr("expected 12"));
  EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", data), testing::HasSubstr("sizes"));
  EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,8]}})", data),
              testing::HasSubstr("too large"));
  EXPECT_THAT(error_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}})", data), testing::HasSubstr("unexpected key"));
  EXPECT_THAT(error_of(R"({"__metadata__":{"a":1}})", ""), testing::HasSubstr("not a string"));
  EXPECT_THAT(error_of(std::string(100000, '['), ""), testing::HasSubstr("JSON"));
}

TEST_F(Safetensors, ConvertsTypesThatAreNoFormat) {
  write(R"({"a":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}})",
        std::string("\x05\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16));
  EXPECT_EQ(WeightSource(open_safetensors(directory_)).vector("a", 2), (std::vector<float>{5, -1}));
  write(R"({"a":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]}})", std::string("\x38\xb8\x7e", 3));
  EXPECT_EQ(WeightSource(open_safetensors(directory_)).vector("a", 3), (std::vector<float>{1, -1, 448}));
}

TEST_F(Safetensors, ShardsMustMatchTheirIndex) {
  const std::vector<float> a = {1}, b = {2};
  write_safetensors(directory_ / "s1.safetensors", {{"a", DType::kF32, {1}, std::as_bytes(std::span(a))}});
  write_safetensors(directory_ / "s2.safetensors", {{"b", DType::kF32, {1}, std::as_bytes(std::span(b))}});
  auto index = [&](const std::string& map) { write_file(directory_ / "model.safetensors.index.json", R"({"weight_map":)" + map + "}"); };
  index(R"({"a":"s1.safetensors","b":"s2.safetensors"})");
  EXPECT_EQ(WeightSource(open_safetensors(directory_)).vector("b", 1), std::vector<float>{2});
  index(R"({"a":"s1.safetensors","c":"s2.safetensors"})");
  EXPECT_THROW(open_safetensors(directory_), Error);
  index(R"({"a":"../s1.safetensors"})");
  EXPECT_THROW(open_safetensors(directory_), Error);
  index(R"({"a":"s3.safetensors"})");
  EXPECT_THROW(open_safetensors(directory_), Error);
}

}  // namespace
}  // namespace citius
