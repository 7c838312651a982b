#include "search/journal.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "base/error.h"
#include "base/file.h"

namespace citius {
namespace {

class JournalTest : public ::testing::Test {
 protected:
  JournalTest() : directory_(std::filesystem::temp_directory_path() / fmt::format("citius_journal_{}", ::getpid())) {}
  ~JournalTest() override { std::filesystem::remove_all(directory_); }

  static Candidate measured(const std::string& name, Format body) {
    Candidate candidate;
    candidate.plan.name = name;
    candidate.plan.body = body;
    candidate.measured = true;
    candidate.speedup = {1.5, 1.4, INFINITY};
    candidate.quality["cosine_mean"] = {0.995, 0.99, 0.999};
    candidate.weight_bytes = 1000;
    candidate.kernels = {"a", "b"};
    return candidate;
  }
  static Candidate unknown(Format body) {
    Candidate candidate;
    candidate.plan.name = "int8";
    candidate.plan.body = body;
    return candidate;
  }

  std::filesystem::path directory_;
};

TEST_F(JournalTest, GivesBackWhatWasKept) {
  {
    Journal(directory_, "key").keep(measured("int8", Format::kInt8));
  }
  const Journal journal(directory_, "key");
  Candidate candidate = unknown(Format::kInt8);
  ASSERT_TRUE(journal.find(candidate));
  EXPECT_TRUE(candidate.measured);
  EXPECT_EQ(candidate.speedup.value, 1.5);
  EXPECT_EQ(candidate.speedup.high, INFINITY);
  EXPECT_EQ(candidate.quality.at("cosine_mean").low, 0.99);
  EXPECT_EQ(candidate.kernels, (std::vector<std::string>{"a", "b"}));
  Candidate other = unknown(Format::kInt4G32);
  EXPECT_FALSE(journal.find(other));
}

TEST_F(JournalTest, AnotherKeyCountsForNothing) {
  {
    Journal(directory_, "key").keep(measured("int8", Format::kInt8));
  }
  EXPECT_EQ(Journal(directory_, "other").size(), 0u);
}

TEST_F(JournalTest, DropsADamagedEnd) {
  {
    Journal journal(directory_, "key");
    journal.keep(measured("int8", Format::kInt8));
    journal.keep(measured("int8", Format::kInt8G128));
  }
  const std::string text = read_file(directory_ / "journal.jsonl", 1 << 20);
  write_file(directory_ / "journal.jsonl", text.substr(0, text.size() - 20));
  EXPECT_EQ(Journal(directory_, "key").size(), 1u);
}

TEST_F(JournalTest, LeavesAndRefusesWhatIsNotItsOwn) {
  std::filesystem::create_directories(directory_);
  write_file(directory_ / "thesis.txt", "precious");
  try {
    Journal(directory_, "key");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(std::string(error.what()).find("thesis.txt"), std::string::npos) << error.what();
  }
  std::filesystem::remove(directory_ / "thesis.txt");
  {
    Journal journal(directory_, "key");
    journal.keep(measured("int8", Format::kInt8));
    write_file(directory_ / "thesis.txt", "precious");
    journal.discard();
  }
  EXPECT_EQ(read_file(directory_ / "thesis.txt", 100), "precious");
  EXPECT_FALSE(std::filesystem::exists(directory_ / "journal.jsonl"));
}

TEST_F(JournalTest, NothingKeptLeavesNothing) {
  {
    const Journal journal(directory_, "key");
  }
  EXPECT_FALSE(std::filesystem::exists(directory_));
  {
    Journal journal(directory_, "key");
    journal.keep(measured("int8", Format::kInt8));
  }
  EXPECT_EQ(Journal(directory_, "key").size(), 1u);
  Journal(directory_, "key").discard();
  EXPECT_FALSE(std::filesystem::exists(directory_));
}

TEST_F(JournalTest, OneSearchAtATime) {
  Journal first(directory_, "key");
  first.keep(measured("int8", Format::kInt8));
  try {
    Journal(directory_, "key");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_NE(std::string(error.what()).find("in use"), std::string::npos) << error.what();
  }
  EXPECT_NO_THROW(first.keep(measured("int8", Format::kInt8G128)));
}

}  // namespace
}  // namespace citius
