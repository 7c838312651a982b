// Outputs: the forms of a result file, and that nothing is left of an unfinished one.
#include "cli/outputs.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace citius::cli {
namespace {

class OutputsTest : public testing::Test {
 protected:
  OutputsTest() : path_(std::filesystem::temp_directory_path() / fmt::format("citius_outputs_{}", ::getpid())) {
    std::filesystem::create_directory(path_);
  }
  ~OutputsTest() override { std::filesystem::remove_all(path_); }

  OutputOptions to(const std::string& name) {
    OutputOptions options;
    options.output = path_ / name;
    return options;
  }
  std::string read(const std::string& name) { return read_file(path_ / name, 1 << 20); }

  std::filesystem::path path_;
};

OutputRow row(std::string_view text, const std::array<float, 2>& embedding) {
  OutputRow row;
  row.fields["text"] = text;
  row.embedding = embedding;
  return row;
}

const std::array<float, 2> kFirst = {0.1F, -2.0F};
const std::array<float, 2> kSecond = {3e-9F, 1.0F / 3};

TEST_F(OutputsTest, Jsonl) {
  Outputs outputs(to("a.jsonl"), /*embeddings=*/true);
  outputs.write(row("x\"y", kFirst));
  outputs.write(row("", kSecond));
  outputs.finish();
  EXPECT_EQ(read("a.jsonl"), "{\"text\": \"x\\\"y\", \"embedding\": [0.1, -2.0]}\n{\"text\": \"\", \"embedding\": [3e-09, 0.33333334]}\n");
}

TEST_F(OutputsTest, Csv) {
  Outputs outputs(to("a.csv"), /*embeddings=*/false);
  OutputRow first;
  first.fields["label"] = "a, \"b\"\nc";
  first.fields["score"] = 0.5;
  first.fields["list"] = json::array{1, 2};
  outputs.write(first);
  outputs.finish();
  EXPECT_EQ(read("a.csv"), "label,score,list\n\"a, \"\"b\"\"\nc\",0.5,\"[1, 2]\"\n");
}

TEST_F(OutputsTest, CsvColumnsMustStay) {
  Outputs outputs(to("a.csv"), /*embeddings=*/false);
  OutputRow first;
  first.fields["a"] = 1;
  outputs.write(first);
  OutputRow second;
  second.fields["b"] = 1;
  EXPECT_THROW(outputs.write(second), Error);
}

TEST_F(OutputsTest, CsvWithoutRowsIsToldOf) {
  Outputs outputs(to("a.csv"), /*embeddings=*/false);
  testing::internal::CaptureStderr();
  outputs.finish();
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("a.csv is empty: there were no rows"));
  EXPECT_EQ(read("a.csv"), "");
}

TEST_F(OutputsTest, Npy) {
  Outputs outputs(to("a.npy"), /*embeddings=*/true);
  outputs.write(row("x", kFirst));
  outputs.write(row("y", kSecond));
  outputs.finish();
  const std::string file = read("a.npy");
  ASSERT_EQ(file.size(), 128U + 4 * sizeof(float));
  EXPECT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_EQ(static_cast<unsigned char>(file[8]) + 256 * static_cast<unsigned char>(file[9]), 118);
  EXPECT_THAT(file.substr(10, 118), testing::StartsWith("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"));
  EXPECT_EQ(file[127], '\n');
  std::array<float, 4> values{};
  std::memcpy(values.data(), file.data() + 128, sizeof(values));
  EXPECT_THAT(values, testing::ElementsAre(kFirst[0], kFirst[1], kSecond[0], kSecond[1]));
}

TEST_F(OutputsTest, UnfinishedLeavesTheOldFile) {
  write_file(path_ / "a.jsonl", "old");
  {
    Outputs outputs(to("a.jsonl"), /*embeddings=*/false);
    outputs.write(row("x", kFirst));
  }
  EXPECT_EQ(read("a.jsonl"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path_), {}), 1);
}

TEST_F(OutputsTest, AFileIsNoTerminal) {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) GTEST_SKIP() << "no terminal can be opened here (/dev/pts)";
  const int saved = ::dup(STDOUT_FILENO);
  ::dup2(terminal, STDOUT_FILENO);
  const bool plain = Outputs({}, /*embeddings=*/false).on_terminal(), file = Outputs(to("a.jsonl"), /*embeddings=*/false).on_terminal();
  ::dup2(saved, STDOUT_FILENO);
  ::close(saved);
  ::close(terminal);
  EXPECT_TRUE(plain);
  EXPECT_FALSE(file);
}

TEST_F(OutputsTest, UnknownEndingsAreRefused) {
  EXPECT_THROW(Outputs(to("a.txt"), true), Error);
  EXPECT_THROW(Outputs(to("a.npy"), false), Error);
  EXPECT_THROW(Outputs(to("none/a.jsonl"), false), Error);
}

}  // namespace
}  // namespace citius::cli
