// What one start leaves for the next: it must be used, and must never be used for anything but what it was made of.
#include "runtime/start_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <thread>

#include "base/digest.h"
#include "heads/head.h"
#include "io/gguf.h"
#include "io/sealed_file.h"
#include "io/temp_dir.h"
#include "runtime/engine.h"
#include "runtime/generator.h"
#include "runtime/load_tokenizer.h"

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

// Sealed files, without their seals.
std::vector<fs::path> sealed_in(const fs::path& directory) {
  std::vector<fs::path> files;
  for (const fs::path& file : files_in(directory)) {
    if (file.extension() == ".safetensors") files.push_back(file);
  }
  return files;
}

std::vector<fs::path> packed_in(const fs::path& cache) { return sealed_in(cache / "packed"); }
std::vector<fs::path> tables_in(const fs::path& cache) { return sealed_in(cache / "tokenizers"); }

fs::path seal_of(const fs::path& packed) { return packed.string() + kSealEnding; }

// Swaps weights at the end of a file without replacing it.
void change_in_place(const fs::path& file) {
  std::string text = read_file(file, size_t{1} << 24);
  for (size_t i = text.size() - 64; i < text.size(); i += 4) std::swap(text[i], text[i - 4]);
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream << text;
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

  // Gives the model an output layer of its own.
  void untie() const {
    const fs::path weights = model_ / "model.safetensors";
    std::string config = read_file(model_ / "config.json", 1 << 20);
    const std::string tied = "\"tie_word_embeddings\": true";
    const size_t at = config.find(tied);
    ASSERT_NE(at, std::string::npos);
    write_file(model_ / "config.json", config.replace(at, tied.size(), "\"tie_word_embeddings\": false"));
    const SafetensorsFile file(weights);
    std::vector<SafetensorsTensor> tensors;
    for (const auto& [name, entry] : file.entries()) {
      std::vector<int64_t> shape;
      for (int axis = 0; axis < entry.shape.rank(); ++axis) shape.push_back(entry.shape[axis]);
      tensors.push_back({name, entry.dtype, std::move(shape), entry.bytes});
      if (name.ends_with("embed_tokens.weight")) {
        tensors.push_back(tensors.back());
        tensors.back().name = "lm_head.weight";
      }
    }
    write_safetensors(weights, tensors);
  }

  // Weights of a packed file made zero, under the seal that it had.
  static void zero_under_seal(const fs::path& packed) {
    const SafetensorsFile file(packed);
    std::streamoff data = 0;
    for (const auto& [name, entry] : file.entries()) data += static_cast<std::streamoff>(entry.bytes.size());
    {
      std::fstream stream(packed, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekp(static_cast<std::streamoff>(fs::file_size(packed)) - data);
      stream << std::string(static_cast<size_t>(data), '\0');
    }
    write_file(seal_of(packed), identify(packed)->text());
  }

  const TempDir dir_;
  const fs::path model_ = dir_.path() / "model", cache_ = dir_.path() / "cache";
  const StartCache small_{cache_, 0};
};

TEST_F(StartCacheTest, TheSecondStartComputesWithTheWeightsThatTheFirstKept) {
  const std::vector<double> packed = run(StartCache());
  EXPECT_FALSE(fs::exists(cache_));
  EXPECT_EQ(run(small_), packed);
  const std::vector<fs::path> kept = packed_in(cache_);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(run(small_), packed);
  {
    EngineOptions options;
    options.cache = small_;
    const Engine engine = open_engine(model_, options);
    EXPECT_EQ(engine.loaded.load.mapped.bytes(), static_cast<int64_t>(engine.loaded.load.packed_bytes));  // counted as taken
  }
  // Zeros under the right seal are zeros in the model: it was not packed again.
  zero_under_seal(kept[0]);
  EXPECT_NE(run(small_), packed);
}

TEST_F(StartCacheTest, AFileThatWasCutOrChangedIsWrittenAnew) {
  const std::vector<double> packed = run(small_);
  const fs::path kept = packed_in(cache_).at(0);
  const std::string whole = read_file(kept, size_t{1} << 24);
  fs::resize_file(kept, whole.size() / 2);
  EXPECT_EQ(run(small_), packed);
  EXPECT_EQ(read_file(kept, size_t{1} << 24), whole);
  change_in_place(kept);
  EXPECT_EQ(run(small_), packed);
  EXPECT_EQ(read_file(kept, size_t{1} << 24), whole);
}

TEST_F(StartCacheTest, WhatAnotherProgramPackedIsPackedAnew) {
  const std::vector<double> packed = run(small_);
  const fs::path kept = packed_in(cache_).at(0);
  zero_under_seal(kept);
  const std::string name = kept.filename().string();
  const fs::path other = kept.parent_path() / (name.substr(0, name.find('.')) + ".another.safetensors");
  fs::rename(kept, other);
  fs::rename(seal_of(kept), seal_of(other));
  EXPECT_EQ(run(small_), packed);
  EXPECT_TRUE(fs::exists(other));
  // A version that nobody uses any more makes room for the next.
  for (const fs::path& file : {other, seal_of(other)}) fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(48));
  fs::remove(kept);
  EXPECT_EQ(run(small_), packed);
  EXPECT_FALSE(fs::exists(other));
}

TEST_F(StartCacheTest, OtherWeightsAreKeptApart) {
  const std::vector<double> before = run(small_);
  change_in_place(model_ / "model.safetensors");
  EXPECT_NE(run(small_), before);
  EXPECT_EQ(packed_in(cache_).size(), 2u);
}

// The model is mapped, then another one takes its name: the weights of the first must not be kept as those of the second.
TEST_F(StartCacheTest, AModelThatIsReplacedDuringTheStartIsNotMistaken) {
  const fs::path weights = model_ / "model.safetensors", other = dir_.path() / "other.safetensors";
  fs::copy_file(weights, other);
  change_in_place(other);
  EngineOptions options;
  options.cache = small_;
  {
    Checkpoint checkpoint = open_checkpoint(model_);
    fs::rename(other, weights);
    Engine engine = open_engine(std::move(checkpoint), options);
    Generator generator(engine);  // keeps the weights
  }
  EXPECT_TRUE(packed_in(cache_).empty());
  const std::vector<double> want = run(StartCache());
  EXPECT_EQ(run(small_), want);
  EXPECT_EQ(run(small_), want);
}

TEST_F(StartCacheTest, WhatNobodyUsedForLongGoes) {
  run(small_);
  const fs::path used = packed_in(cache_).at(0), directory = cache_ / "packed";
  const auto now = fs::file_time_type::clock::now();
  const auto write = [&](const char* name, int days) {
    write_file(directory / name, "x");
    fs::last_write_time(directory / name, now - std::chrono::hours(24 * days));
  };
  write("old.safetensors", 40);
  write("recent.safetensors", 20);
  write("x.safetensors.tmp12", 1);
  fs::last_write_time(used, now - std::chrono::hours(24 * 40));  // its seal is young
  run(small_);
  EXPECT_FALSE(fs::exists(directory / "old.safetensors"));
  EXPECT_TRUE(fs::exists(directory / "recent.safetensors"));
  EXPECT_FALSE(fs::exists(directory / "x.safetensors.tmp12"));
  EXPECT_TRUE(fs::exists(used));
}

TEST_F(StartCacheTest, WorksWhereNothingCanBeKept) {
  const std::vector<double> packed = run(StartCache());
  write_file(cache_, "a file where the directory would be");
  EXPECT_EQ(run(small_), packed);
}

TEST_F(StartCacheTest, ConvertedAndSmallWeightsAreNotKept) {
  run(StartCache(cache_));
  EngineOptions options;
  options.cache = small_;
  options.policy = [](const WeightRecord&) { return Format::kInt8; };
  Engine engine = open_engine(model_, options);
  Generator generator(engine);
  EXPECT_TRUE(packed_in(cache_).empty());
}

TEST_F(StartCacheTest, AnEmbedderAndAGeneratorShareTheFile) {
  untie();
  const std::vector<double> packed = run(StartCache());
  EngineOptions options;
  options.cache = small_;
  {
    Engine engine = open_engine(model_, options);
    finish_loading(engine.loaded, HeadKind::kCausalLm);
  }
  const auto body = fs::file_size(packed_in(cache_).at(0));
  EXPECT_EQ(run(small_), packed);
  ASSERT_EQ(packed_in(cache_).size(), 1u);
  EXPECT_GT(fs::file_size(packed_in(cache_).at(0)), body);
  EXPECT_EQ(run(small_), packed);
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
  EXPECT_EQ(PackedFile(path).find("w", {Format::kF32, 16, 32}, *backend), nullptr);
  const std::unique_ptr<PackedWeight> found = PackedFile(path).find("w", {Format::kF32, 16, 16}, *backend);
  ASSERT_NE(found, nullptr);
  float row[16];
  found->decode(3, row);
  EXPECT_EQ(row[5], 1.5f);
}

constexpr const char* kText = "anna lives in a house";

std::vector<int32_t> encode(const StartCache& cache, const Checkpoint& checkpoint) {
  return load_tokenizer(checkpoint, cache)->encode_ids(kText);
}
std::vector<int32_t> encode(const StartCache& cache, const fs::path& model) { return encode(cache, open_checkpoint(model)); }

// A GGUF file that holds a vocabulary and nothing else.
std::string gguf_vocabulary() {
  const auto number = [](uint64_t value, size_t bytes) { return std::string(reinterpret_cast<const char*>(&value), bytes); };
  const auto text = [&](std::string_view value) { return number(value.size(), 8) + std::string(value); };
  const auto list = [&](const std::vector<std::string>& values) {
    std::string bytes = number(9, 4) + number(8, 4) + number(values.size(), 8);
    for (const std::string& value : values) bytes += text(value);
    return bytes;
  };
  std::vector<std::string> tokens{"an", "ho", "\u0120"};
  for (char letter = 'a'; letter <= 'z'; ++letter) tokens.emplace_back(1, letter);
  std::string file = "GGUF" + number(3, 4) + number(0, 8) + number(4, 8);
  file += text("tokenizer.ggml.model") + number(8, 4) + text("gpt2") + text("tokenizer.ggml.pre") + number(8, 4) + text("gpt-2");
  file += text("tokenizer.ggml.tokens") + list(tokens) + text("tokenizer.ggml.merges") + list({"a n", "h o"});
  file.resize((file.size() + 31) / 32 * 32, '\0');
  return file;
}

// What `name` holds of a file of tables, changed by `change` under the seal that it had.
void change_under_seal(const fs::path& tables, const std::string& name, const std::function<void(std::string& bytes)>& change) {
  const SafetensorsFile file(tables);
  const std::span<const std::byte> bytes = file.entries().at(name).bytes;
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  change(text);
  {
    std::fstream stream(tables, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(bytes.data() - file.file().bytes().data());
    stream << text;
  }
  write_file(seal_of(tables), identify(tables)->text());
}

TEST_F(StartCacheTest, TheSecondStartOpensTheTablesThatTheFirstKept) {
  Checkpoint gguf;
  gguf.gguf = GgufFile::open(dir_.write("vocabulary.gguf", gguf_vocabulary()));
  for (const Checkpoint& model : {open_checkpoint(model_), gguf}) {
    fs::remove_all(cache_);
    const std::vector<int32_t> ids = encode(StartCache(), model);
    EXPECT_FALSE(fs::exists(cache_));
    EXPECT_EQ(encode(small_, model), ids);
    ASSERT_EQ(tables_in(cache_).size(), 1u);
    EXPECT_EQ(encode(small_, model), ids);
    // Other letters under the right seal are other tokens: it was not compiled again.
    change_under_seal(tables_in(cache_)[0], "tokens", [](std::string& text) { std::replace(text.begin(), text.end(), 'a', 'q'); });
    EXPECT_NE(encode(small_, model), ids);
  }
}

TEST_F(StartCacheTest, TablesThatWereCutOrChangedAreCompiledAnew) {
  const std::vector<int32_t> ids = encode(small_, model_);
  const fs::path kept = tables_in(cache_).at(0);
  const std::string whole = read_file(kept, size_t{1} << 24);
  const auto is_mended = [&] { return encode(small_, model_) == ids && read_file(kept, size_t{1} << 24) == whole; };
  fs::resize_file(kept, whole.size() / 2);
  EXPECT_TRUE(is_mended());
  change_in_place(kept);
  EXPECT_TRUE(is_mended());
  fs::remove(seal_of(kept));
  EXPECT_TRUE(is_mended());
  // Under the right seal: what is cut is no safetensors file, and ids that no token has are noticed.
  fs::resize_file(kept, whole.size() / 2);
  write_file(seal_of(kept), identify(kept)->text());
  EXPECT_TRUE(is_mended());
  for (const char* name : {"merges", "token_slots", "token_begins", "settings"}) {
    change_under_seal(kept, name, [](std::string& text) { std::fill(text.begin(), text.end(), '\x7F'); });
    EXPECT_TRUE(is_mended()) << name;
  }
}

TEST_F(StartCacheTest, TablesOfAnotherProgramOrTokenizerAreNotUsed) {
  const std::vector<int32_t> ids = encode(small_, model_);
  const fs::path kept = tables_in(cache_).at(0);
  const std::string name = kept.filename().string();
  const fs::path other = kept.parent_path() / (name.substr(0, name.find('.')) + ".another.safetensors");
  change_under_seal(kept, "tokens", [](std::string& text) { std::replace(text.begin(), text.end(), 'a', 'q'); });
  fs::rename(kept, other);
  fs::rename(seal_of(kept), seal_of(other));
  EXPECT_EQ(encode(small_, model_), ids);
  const json::value golden = read_json(CITIUS_TEST_DIR "/golden/tokenizer/gpt2.json");
  write_file(model_ / "tokenizer.json", json::serialize(golden.at("tokenizer")));
  EXPECT_EQ(encode(small_, model_), encode(StartCache(), model_));
  EXPECT_NE(encode(small_, model_), ids);
}

// The tokenizer is mapped, then another one takes its name: the tables of the first must not be kept as those of the second.
TEST_F(StartCacheTest, ATokenizerThatIsReplacedDuringTheStartIsNotMistaken) {
  const TokenizerSource source = Tokenizer::source(model_);
  std::string json = read_file(model_ / "tokenizer.json", size_t{1} << 24);
  write_file(model_ / "tokenizer.json", json + " ");
  EXPECT_EQ(small_.open(source)->encode_ids(kText), encode(StartCache(), model_));
  EXPECT_TRUE(tables_in(cache_).empty());
}

TEST_F(StartCacheTest, ADamagedTokenizerIsRefusedAndNotKept) {
  write_file(model_ / "tokenizer.json", R"({"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"normalizer":{"type":"Magic"}})");
  EXPECT_THROW(encode(small_, model_), Error);
  EXPECT_TRUE(tables_in(cache_).empty());
}

TEST_F(StartCacheTest, AFileFromTheFutureIsRememberedToo) {
  const fs::path file = dir_.write("weights", "content");
  fs::last_write_time(file, fs::file_time_type::clock::now() + std::chrono::hours(24));
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_EQ(small_.sha256(file), sha256("content"));
  EXPECT_EQ(files_in(cache_ / "digests").size(), 1u);
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
  // A memory that was cut short is none.
  write_file(memory, text.substr(0, text.size() - 20));
  EXPECT_EQ(small_.sha256(file), first);
  // Same file, size and time of modification: the time of the change tells.
  const auto time = fs::last_write_time(file);
  std::fstream(file, std::ios::in | std::ios::out) << "other";
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
