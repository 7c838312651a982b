// What one start leaves for the next: it must be used, and must never be used for anything but what it was made of.
#include "runtime/start_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/digest.h"
#include "heads/head.h"
#include "io/temp_dir.h"
#include "runtime/engine.h"
#include "runtime/generator.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_in(const fs::path& directory) {
  std::vector<fs::path> files;
  if (fs::exists(directory)) {
    for (const auto& entry : fs::directory_iterator(directory)) files.push_back(entry.path());
  }
  return files;
}

// A model of its own to be changed, and a cache that keeps small weights too.
class StartCacheTest : public testing::Test {
 protected:
  StartCacheTest() { fs::copy(CITIUS_TEST_DIR "/golden/generate", model_, fs::copy_options::recursive); }

  // Log-probabilities of a prompt.
  std::vector<double> run(const StartCache& cache) const {
    EngineOptions options;
    options.cache = cache;
    Engine engine = open_engine(model_, options);
    Generator generator(engine);
    GenerationRequest request;
    request.max_tokens = 4;
    request.prompt = engine.tokenizer->encode_ids("anna lives in a house");
    request.prompt_logprobs = true;
    request.logprobs = 1;
    const GenerationResult result = generator.generate({&request, 1})[0];
    std::vector<double> values;
    for (const auto& token : result.prompt_logprobs) values.push_back(token.logprob);
    return values;
  }

  const TempDir dir_;
  const fs::path model_ = dir_.path() / "model", cache_ = dir_.path() / "cache";
  const StartCache small_{cache_, 0};
};

TEST_F(StartCacheTest, TheSecondStartComputesWithTheWeightsThatTheFirstKept) {
  const std::vector<double> packed = run(StartCache());
  EXPECT_FALSE(fs::exists(cache_));
  EXPECT_EQ(run(small_), packed);
  const std::vector<fs::path> kept = files_in(cache_ / "packed");
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(run(small_), packed);
  // Zeros in the file are zeros in the model: it was not packed again.
  const SafetensorsFile file(kept[0]);
  const auto size = static_cast<std::streamoff>(fs::file_size(kept[0]));
  std::streamoff data = 0;
  for (const auto& [name, entry] : file.entries()) data += static_cast<std::streamoff>(entry.bytes.size());
  {
    std::fstream stream(kept[0], std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(size - data);
    stream << std::string(static_cast<size_t>(data), '\0');
  }
  EXPECT_NE(run(small_), packed);
}

TEST_F(StartCacheTest, ADamagedFileIsWrittenAnew) {
  const std::vector<double> packed = run(small_);
  const fs::path kept = files_in(cache_ / "packed").at(0);
  const auto size = fs::file_size(kept);
  fs::resize_file(kept, size / 2);
  EXPECT_EQ(run(small_), packed);
  EXPECT_EQ(fs::file_size(kept), size);
}

TEST_F(StartCacheTest, OtherWeightsAreKeptApart) {
  const std::vector<double> before = run(small_);
  std::string text = read_file(model_ / "model.safetensors", size_t{1} << 24);
  for (size_t i = text.size() - 64; i < text.size(); i += 4) std::swap(text[i], text[i - 4]);
  write_file(model_ / "model.safetensors", text);
  run(small_);
  EXPECT_EQ(files_in(cache_ / "packed").size(), 2u);
}

TEST_F(StartCacheTest, ConvertedAndSmallWeightsAreNotKept) {
  run(StartCache(cache_));
  EngineOptions options;
  options.cache = small_;
  options.policy = [](const WeightRecord&) { return Format::kInt8; };
  Engine engine = open_engine(model_, options);
  Generator generator(engine);
  EXPECT_TRUE(files_in(cache_ / "packed").empty());
}

TEST_F(StartCacheTest, AnEmbedderAndAGeneratorShareTheFile) {
  EngineOptions options;
  options.cache = small_;
  {
    Engine engine = open_engine(model_, options);
    finish_loading(engine.loaded, HeadKind::kCausalLm);
  }
  const auto body = fs::file_size(files_in(cache_ / "packed").at(0));
  const std::vector<double> whole = run(small_);
  ASSERT_EQ(files_in(cache_ / "packed").size(), 1u);
  EXPECT_GE(fs::file_size(files_in(cache_ / "packed").at(0)), body);
  EXPECT_EQ(run(small_), whole);
}

// A head that fails to load takes its weights with it, not what the file is to keep of them.
TEST_F(StartCacheTest, WhatWasAddedLivesUntilItIsKept) {
  const std::unique_ptr<Backend> backend = make_backend("cpu", {1, ""});
  const std::vector<float> values(16 * 16, 1.5f);
  const OwnedMatrix matrix{{Format::kF32, 16, 16, reinterpret_cast<const std::byte*>(values.data())}, nullptr};
  const fs::path path = dir_.path() / "packed.safetensors";
  PackedFile file(path);
  file.add("w", backend->pack({&matrix, 1}));
  file.keep();
  const std::unique_ptr<PackedWeight> found = PackedFile(path).find("w", {Format::kF32, 16, 16}, *backend);
  ASSERT_NE(found, nullptr);
  float row[16];
  found->decode(3, row);
  EXPECT_EQ(row[5], 1.5f);
}

TEST_F(StartCacheTest, ADigestIsRememberedUntilTheFileChanges) {
  const fs::path file = dir_.write("weights", "first");
  const std::string first = sha256("first");
  EXPECT_EQ(small_.sha256(file), first);
  EXPECT_TRUE(files_in(cache_ / "digests").empty()) << "it changed a moment ago";
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(small_.sha256(file), first);
  ASSERT_EQ(files_in(cache_ / "digests").size(), 1u);
  // What is remembered is what is given.
  const fs::path memory = files_in(cache_ / "digests")[0];
  std::string text = read_file(memory, 4096);
  text.replace(text.size() - first.size(), first.size(), std::string(first.size(), '0'));
  write_file(memory, text);
  EXPECT_EQ(small_.sha256(file), std::string(first.size(), '0'));
  // Same name, size and time of modification: the time of the change tells.
  const auto time = fs::last_write_time(file);
  write_file(file, "other");
  fs::last_write_time(file, time);
  EXPECT_EQ(small_.sha256(file), sha256("other"));
}

TEST_F(StartCacheTest, AReceiptThatPassedIsKnown) {
  EXPECT_FALSE(small_.passed("receipt"));
  small_.remember_passed("receipt");
  EXPECT_TRUE(small_.passed("receipt"));
  EXPECT_FALSE(small_.passed("another"));
  EXPECT_FALSE(StartCache().passed("receipt"));
}

}  // namespace
}  // namespace citius
