// Packages: every format comes back bit for bit, files travel along, what is there already is replaced or refused, and a
// failed write leaves the old package.
#include "io/package.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/error.h"
#include "base/rng.h"
#include "io/gguf.h"
#include "io/package_codec.h"
#include "io/package_digest.h"
#include "io/safetensors.h"
#include "io/temp_dir.h"

namespace {

// What happens to a writer as it publishes to a directory "out".
enum class AtPublishing { kGoesOn, kKilledBefore, kKilledAfter };
AtPublishing at_publishing = AtPublishing::kGoesOn;
bool can_exchange = true;

int move_to(const char* from, const char* to, unsigned flags) {
  const bool publishes = std::string_view(to).ends_with("/out");
  if (publishes && at_publishing == AtPublishing::kKilledBefore) ::raise(SIGKILL);
  const auto result = static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
  if (publishes && at_publishing == AtPublishing::kKilledAfter) ::raise(SIGKILL);
  return result;
}

}  // namespace

// In place of those of the C library.
extern "C" int rename(const char* from, const char* to) noexcept { return move_to(from, to, 0); }
extern "C" int renameat2(int, const char* from, int, const char* to, unsigned flags) noexcept {
  if (can_exchange) return move_to(from, to, flags);
  errno = EINVAL;
  return -1;
}

namespace citius {
namespace {

std::vector<float> random_values(uint64_t seed, size_t count) {
  const CounterRng rng(seed);
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(rng.normal(i));
  return values;
}

class Package : public testing::Test {
 protected:
  static constexpr int64_t kRows = 13, kCols = 256;  // rows: no multiple of the eight zero points in a word

  void SetUp() override {
    const std::vector<float> a = random_values(1, kRows * kCols), b = random_values(2, 64 * 32), bias = random_values(3, 7);
    dir_.write("model/config.json",
               R"({"model_type":"bert","rope_parameters":{"rope_theta":5000.0,"rope_type":"default"},"dtype":"float32"})");
    dir_.write("model/tokenizer.json", "{}");
    dir_.write("model/modules.json", R"([{"path":""},{"path":"1_Pooling"},{"path":"../.."}])");
    dir_.write("model/1_Pooling/config.json", R"({"p":1})");
    dir_.write("model/pytorch_model.bin", "not copied");
    write_safetensors(dir_.path() / "model/model.safetensors", {{"a.weight", DType::kF32, {kRows, kCols}, std::as_bytes(std::span(a))},
                                                                {"t.weight", DType::kF32, {64, 32}, std::as_bytes(std::span(b))},
                                                                {"a.bias", DType::kF32, {7}, std::as_bytes(std::span(bias))}});
    source_ = open_checkpoint(dir_.path() / "model");
  }

  std::filesystem::path out() const { return dir_.path() / "out"; }

  void write(const std::string& recipe) { write_package(out(), source_, {{}, {{"recipe", recipe}}, {}}, threads_); }

  // Writes in a process that is killed at that moment.
  void write_and_die(const std::string& recipe, AtPublishing moment) {
    const auto die = [&] {
      at_publishing = moment;
      ThreadPool one(1);
      write_package(out(), source_, {{}, {{"recipe", recipe}}, {}}, one);
    };
    EXPECT_EXIT(die(), testing::KilledBySignal(SIGKILL), "");
  }

  // Of the whole and sound package there.
  static std::string recipe_of(const std::filesystem::path& package) {
    const Checkpoint checkpoint = open_checkpoint(package);
    check_package_digests(package, checkpoint.package);
    return std::string(checkpoint.package.at("recipe").as_string());
  }

  // What is in the folder of the model and the package besides these two.
  std::vector<std::filesystem::path> left_over() const {
    std::vector<std::filesystem::path> left;
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      if (entry.path().filename() != "model" && entry.path() != out()) left.push_back(entry.path());
    }
    return left;
  }

  TempDir dir_;
  Checkpoint source_;
  ThreadPool threads_{2};
};

TEST_F(Package, EveryFormatComesBackBitForBit) {
  for (Format format : all_formats()) {
    write_package(out(), source_, {{{"a.weight", format}}, {{"recipe", "x"}}, {{"report.json", "{}"}}}, threads_);
    const Checkpoint package = open_checkpoint(out());
    EXPECT_EQ(package.model_type(), "bert");
    EXPECT_EQ(package.package.at("recipe").as_string(), "x");
    EXPECT_FALSE(package.is_gguf());
    const TensorContainer& weights = *package.weights;
    EXPECT_EQ(weights.names().size(), 3u) << format_name(format);
    EXPECT_EQ(weights.is_float("a.weight"), format_is_float(format));
    const OwnedMatrix got = weights.matrix("a.weight");
    const OwnedMatrix want = convert_matrix(source_.weights->matrix("a.weight").matrix, format);
    ASSERT_EQ(got.matrix.format, format);
    ASSERT_EQ(weights.shape("a.weight"), (Shape{kRows, kCols}));
    ASSERT_EQ(got.matrix.row_bytes(), want.matrix.row_bytes());
    EXPECT_EQ(std::memcmp(got.matrix.data, want.matrix.data, want.matrix.row_bytes() * kRows), 0) << format_name(format);
    EXPECT_FALSE(weights.has("a.weight_scale"));
    EXPECT_EQ(weights.shape("a.bias"), Shape{7});
  }
  EXPECT_EQ(read_file(out() / "1_Pooling/config.json", 100), R"({"p":1})");
  EXPECT_TRUE(std::filesystem::exists(out() / "tokenizer.json"));
  EXPECT_TRUE(std::filesystem::exists(out() / "report.json"));
  EXPECT_FALSE(std::filesystem::exists(out() / "pytorch_model.bin"));
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir_.path())) ++entries;
  EXPECT_EQ(entries, 2u) << "nothing temporary is left";
}

TEST_F(Package, TransposedWeightsAreTurned) {
  write_package(out(), source_, {{{"t.weight", Format::kInt8G64, true}}, {}, {}}, threads_);
  const Checkpoint package = open_checkpoint(out());
  EXPECT_EQ(package.weights->shape("t.weight"), (Shape{32, 64}));
  const OwnedMatrix source = source_.weights->matrix("t.weight"), got = package.weights->matrix("t.weight");
  std::vector<float> row(64), column(64);
  decode_row(got.matrix.format, got.matrix.row(5), 64, row.data());
  for (size_t i = 0; i < 64; ++i) {
    float value;
    std::memcpy(&value, source.matrix.data + (i * 32 + 5) * 4, 4);
    EXPECT_NEAR(row[i], value, 0.02f);  // half a step of int8 for values below 5
  }
  EXPECT_FALSE(package.config.contains("quantization_config"));
  write_package(out(), source_, {{{"t.weight", Format::kBF16, true}}, {}, {}}, threads_);
  EXPECT_EQ(open_checkpoint(out()).weights->shape("t.weight"), (Shape{64, 32}));
}

TEST_F(Package, StoresCompressedTensors) {
  write_package(out(), source_, {{{"a.weight", Format::kInt4ZG64}}, {}, {}}, threads_);
  const json::value config = read_json(out() / "config.json");
  const JsonObject quantization = JsonObject(config, "config.json").get_object("quantization_config");
  EXPECT_EQ(quantization.get_string("format"), "pack-quantized");
  const JsonObject scheme = quantization.get_object("config_groups").get_object("group_0").get_object("weights");
  EXPECT_EQ(scheme.get_int("num_bits"), 4);
  EXPECT_EQ(scheme.get_int("group_size"), 64);
  EXPECT_FALSE(scheme.get_bool("symmetric"));
  const SafetensorsFile file(out() / "model.safetensors");
  const SafetensorsEntry& packed = file.entries().at("a.weight_packed");
  const SafetensorsEntry& zero = file.entries().at("a.weight_zero_point");
  EXPECT_EQ(packed.shape, (Shape{kRows, kCols / 8}));
  EXPECT_EQ(zero.shape, (Shape{2, kCols / 64}));
  const OwnedMatrix want = convert_matrix(source_.weights->matrix("a.weight").matrix, Format::kInt4ZG64);
  const auto word = [](const SafetensorsEntry& entry, size_t index) {
    uint32_t value;
    std::memcpy(&value, entry.bytes.data() + 4 * index, 4);
    return value;
  };
  // Row 9, column 70: group 1, element 6.
  const std::byte* block = want.matrix.row(9) + 35;
  EXPECT_EQ((word(packed, 9 * 32 + 70 / 8) >> (4 * (70 % 8))) & 15, static_cast<uint32_t>(block[3 + 6]) & 15);
  EXPECT_EQ((word(zero, 1 * 4 + 1) >> (4 * (9 % 8))) & 15, static_cast<uint32_t>(block[2]));
  // Mixed storage forms fit no single compressed-tensors format.
  write_package(out(), source_, {{{"a.weight", Format::kInt4G32}, {"t.weight", Format::kInt8}}, {}, {}}, threads_);
  EXPECT_FALSE(open_checkpoint(out()).config.contains("quantization_config"));
}

// Products of a larger code would not fit where the kernels sum them.
TEST_F(Package, RefusesCodesOutOfRange) {
  const auto join = [](Format format, int code) {
    const int8_t codes[4] = {1, static_cast<int8_t>(code), 0, -1};
    const float scale = 0.5f;
    const SafetensorsEntry parts[2] = {{DType::kI8, {1, 4}, std::as_bytes(std::span(codes))},
                                       {DType::kF32, {1, 1}, std::as_bytes(std::span(&scale, 1))}};
    join_matrix(format, 1, 4, {&parts[0], &parts[1]}, nullptr, "w");
  };
  for (const int code : {-63, 63}) EXPECT_NO_THROW(join(Format::kInt7, code));
  for (const int code : {-64, 64, -128}) EXPECT_THROW(join(Format::kInt7, code), Error) << code;
  EXPECT_NO_THROW(join(Format::kInt8, -127));
  EXPECT_THROW(join(Format::kInt8, -128), Error);
}

TEST_F(Package, RefusesWhatItMustNotReplace) {
  dir_.write("precious/notes.txt", "keep");
  EXPECT_THROW(write_package(dir_.path() / "precious", source_, {}, threads_), Error);
  EXPECT_THROW(write_package(dir_.path() / "model", source_, {}, threads_), Error);
  EXPECT_EQ(read_file(dir_.path() / "precious/notes.txt", 10), "keep");
  // Where there is no package no folder is entered.
  dir_.write("deep/a/b/notes.txt", "keep");
  for (const auto& [directory, named] : {std::pair{dir_.path() / "deep", ": a;"}, std::pair{std::filesystem::path("/"), ": "}}) {
    try {
      package_target(directory);
      FAIL() << directory;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage) << directory;
      EXPECT_NE(std::string(error.what()).find(named), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(write_package(out(), source_, {{{"no.weight", Format::kInt8}}, {}, {}}, threads_), Error);
  EXPECT_THROW(write_package(out(), source_, {{{"a.bias", Format::kQ4_0}}, {}, {}}, threads_), Error);
  EXPECT_FALSE(std::filesystem::exists(out()));
}

TEST_F(Package, RefusesToLoseFilesInAPackage) {
  write_package(out(), source_, {{}, {{"recipe", "old"}}, {{"report.json", "{}"}}}, threads_);
  EXPECT_EQ(package_target(out() / "."), out());
  EXPECT_NO_THROW(package_target(out()));
  dir_.write("out/1_Pooling/notes.md", "mine");
  try {
    write_package(out(), source_, {{}, {{"recipe", "new"}}, {}}, threads_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find("1_Pooling/notes.md;"), std::string::npos) << error.what();
  }
  EXPECT_EQ(read_file(out() / "1_Pooling/notes.md", 10), "mine");
  EXPECT_EQ(open_checkpoint(out()).package.at("recipe").as_string(), "old");
  // What says it is a package and is none protects nothing.
  dir_.write("foreign/citius.json", R"({"files": 3})");
  EXPECT_THROW(package_target(dir_.path() / "foreign"), Error);
  EXPECT_THROW(package_target(""), Error);
}

TEST_F(Package, AFailedWriteLeavesTheOldPackage) {
  write_package(out(), source_, {{}, {{"recipe", "old"}}, {}}, threads_);
  std::vector<float> bad = random_values(4, 64);
  bad[5] = INFINITY;
  write_safetensors(dir_.path() / "model/model.safetensors", {{"a.weight", DType::kF32, {1, 64}, std::as_bytes(std::span(bad))}});
  const Checkpoint damaged = open_checkpoint(dir_.path() / "model");
  EXPECT_THROW(write_package(out(), damaged, {{{"a.weight", Format::kInt8}}, {{"recipe", "new"}}, {}}, threads_), Error);
  EXPECT_EQ(open_checkpoint(out()).package.at("recipe").as_string(), "old");
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(dir_.path())) ++entries;
  EXPECT_EQ(entries, 2u) << "nothing temporary is left";
}

TEST_F(Package, WhatAKilledWriterLeftIsRemovedByTheNext) {
  write_and_die("first", AtPublishing::kKilledBefore);
  EXPECT_FALSE(std::filesystem::exists(out()));
  EXPECT_EQ(left_over().size(), 1U);
  write_and_die("second", AtPublishing::kKilledAfter);
  EXPECT_EQ(recipe_of(out()), "second");
  EXPECT_TRUE(left_over().empty());
  write_and_die("third", AtPublishing::kKilledBefore);
  EXPECT_EQ(recipe_of(out()), "second");
  EXPECT_EQ(left_over().size(), 1U);
  write_and_die("fourth", AtPublishing::kKilledAfter);
  EXPECT_EQ(recipe_of(out()), "fourth");
  EXPECT_EQ(left_over().size(), 1U);
  // Another's, of a process with the same number on another machine say: not known by a lock.
  std::filesystem::path other = out();
  std::filesystem::create_directory(other += ".tmp" + std::to_string(::getpid()));
  write("fifth");
  EXPECT_EQ(recipe_of(out()), "fifth");
  EXPECT_THAT(left_over(), testing::ElementsAre(other));
  EXPECT_FALSE(std::filesystem::exists(out() / ".citius-writing"));
}

TEST_F(Package, WithoutExchangeTheOldPackageStaysUntilThereIsAnother) {
  write("old");
  can_exchange = false;
  write("new");
  EXPECT_EQ(recipe_of(out()), "new");
  EXPECT_TRUE(left_over().empty());
  write_and_die("newer", AtPublishing::kKilledBefore);
  EXPECT_FALSE(std::filesystem::exists(out()));
  EXPECT_EQ(left_over().size(), 2U);
  write("newest");
  EXPECT_EQ(recipe_of(out()), "newest");
  ASSERT_EQ(left_over().size(), 1U);
  EXPECT_EQ(recipe_of(left_over()[0]), "new");
  write("last");
  EXPECT_TRUE(left_over().empty());
  can_exchange = true;
}

TEST_F(Package, ReadsOnlyWhatAgrees) {
  write_package(out(), source_, {{{"a.weight", Format::kInt8}}, {}, {}}, threads_);
  const std::string good = read_file(out() / "model.safetensors", 1 << 20);
  const auto damage = [&](const std::string& from, const std::string& to) {
    std::string bad = good;
    const size_t at = bad.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    ASSERT_EQ(from.size(), to.size());
    bad.replace(at, from.size(), to);
    write_file(out() / "model.safetensors", bad);
    EXPECT_THROW(open_checkpoint(out()).weights->matrix("a.weight"), Error) << from << " -> " << to;
  };
  damage("a.weight_scale", "a.weight_scalf");
  damage(R"(\"int8\")", R"(\"int9\")");
  damage(R"(\"int8\")", R"(\"bf16\")");
  damage(R"([13,256]})", R"([12,256]})");
  damage("citius.formats", "citius.formatz");
  write_file(out() / "model.safetensors", good);
  EXPECT_NO_THROW(open_checkpoint(out()).weights->matrix("a.weight"));
  write_file(out() / "citius.json", R"({"package_version":2})");
  EXPECT_THROW(open_checkpoint(out()), Error);
  write_file(out() / "citius.json", R"({})");
  EXPECT_THROW(open_checkpoint(out()), Error);
}

TEST_F(Package, OfAGgufFileKeepsItsMetadata) {
  const Checkpoint gguf = open_checkpoint(CITIUS_TEST_DIR "/golden/io/types.gguf");
  write_package(out(), gguf, {{{"t.f32", Format::kInt4G32}, {"t.q8_0", Format::kQ4_0}}, {}, {}}, threads_);
  const Checkpoint package = open_checkpoint(out());
  EXPECT_TRUE(package.is_gguf());
  EXPECT_TRUE(package.weights->is_gguf());
  EXPECT_EQ(package.gguf->get_strings("a.strings"), gguf.gguf->get_strings("a.strings"));
  EXPECT_EQ(package.gguf->get_string("a.string"), "café ✓");
  EXPECT_EQ(package.weights->matrix("t.f32").matrix.format, Format::kInt4G32);
  EXPECT_EQ(package.weights->matrix("t.q8_0").matrix.format, Format::kQ4_0);
  const OwnedMatrix got = package.weights->matrix("t.q5_1"), want = gguf.weights->matrix("t.q5_1");
  EXPECT_EQ(std::memcmp(got.matrix.data, want.matrix.data, want.matrix.row_bytes() * 3), 0);
  // And out again as GGUF, over nothing but what was written so from the same model.
  const std::filesystem::path own = gguf.gguf->files().front()->path(), others = dir_.path() / "others.gguf", x = dir_.path() / "x.gguf";
  std::filesystem::copy_file(own, others);
  dir_.write("notes.gguf", "GGUF of mine");
  for (const std::filesystem::path& file : {dir_.path() / "notes.gguf", others, own}) {
    const std::string before = read_file(file, 1 << 20);
    EXPECT_THROW(write_gguf(file, file == own ? gguf : package, {{"t.f32", Format::kQ5_0}}, {"digest", 8}, threads_), Error);
    EXPECT_EQ(read_file(file, 1 << 20), before);
  }
  write_gguf(x, package, {{"t.f32", Format::kQ4_0}}, {"digest", 2}, threads_);
  EXPECT_THROW(write_gguf(x, package, {{"t.f32", Format::kQ5_0}}, {"that of another", 8}, threads_), Error);
  EXPECT_EQ(GgufFile::open(x)->get_int("general.file_type"), 2);
  write_gguf(x, package, {{"t.f32", Format::kQ5_0}}, {"digest", 8}, threads_);
  const auto again = GgufFile::open(x);
  EXPECT_EQ(again->get_int("general.file_type"), 8);
  EXPECT_EQ(again->get_int("general.quantization_version"), 2);
  EXPECT_EQ(again->names().size(), gguf.weights->names().size());
  EXPECT_EQ(again->get_floats("a.floats"), gguf.gguf->get_floats("a.floats"));
  EXPECT_EQ(again->matrix("t.f32").matrix.format, Format::kQ5_0);
  const OwnedMatrix copied = again->matrix("t.mxfp4"), original = gguf.weights->matrix("t.mxfp4");
  EXPECT_EQ(std::memcmp(copied.matrix.data, original.matrix.data, original.matrix.row_bytes() * 3), 0);
  EXPECT_THROW(write_gguf(dir_.path() / "y.gguf", package, {}, {}, threads_), Error);  // t.f32 is int4-g32: no GGUF type
  EXPECT_THROW(write_gguf(dir_.path() / "y.gguf", source_, {}, {}, threads_), Error);
}

}  // namespace
}  // namespace citius
