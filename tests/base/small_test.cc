// The small tools of base/: digests, progress lines, atomic files.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"

namespace citius {
namespace {

TEST(Sha256, VectorsOfTheStandard) {
  EXPECT_EQ(sha256(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("citius_sha_{}", ::getpid());
  write_file(path, std::string(1000000, 'a'));
  EXPECT_EQ(sha256_file(path), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  std::filesystem::remove(path);
  EXPECT_THROW(sha256_file(path), Error);
}

TEST(Log, MessagesHoldNothingThatATerminalObeys) {
  EXPECT_EQ(printable("a\tb\n\x1b]0;title\x07\x7f\xc3\xa9"), "a\tb\n\\x1b]0;title\\x07\\x7f\xc3\xa9");
}

TEST(Progress, Lines) {
  const Progress items("encode", 200);
  EXPECT_EQ(items.line(50, 10, 0), "encode: 50 of 200, 5/s, 30 s left");
  EXPECT_EQ(items.line(50, 10, 70), "encode [=======                       ] 50 of 200, 5/s, 30 s left");
  EXPECT_LT(items.line(50, 10, 20).size(), 20U);
  Progress bytes("download", 3'000'000'000, ProgressUnit::kBytes);
  bytes.skip(1'000'000'000);
  EXPECT_EQ(bytes.line(1'500'000'000, 5, 0), "download: 1.5 GB of 3.0 GB, 100 MB/s, 15 s left");
  const Progress share("optimize", 1000, ProgressUnit::kShare);
  EXPECT_EQ(share.line(250, 10, 0), "optimize: 25.0 %, 2.5 %/s, 30 s left");
  Progress next("first", 1000, ProgressUnit::kShare);
  next.skip(100);
  next.begin("second", 0);
  next.set_note("in all 9 s left");
  EXPECT_EQ(next.line(250, 10, 0), "second: 25.0 %, 2.5 %/s, 30 s left; in all 9 s left");
  next.set_note("");
  next.begin("third", 200);  // a share that took no time here says nothing about the rate
  EXPECT_EQ(next.line(200, 1e-8, 0), "third: 20.0 %");
  EXPECT_EQ(next.line(400, 10, 0), "third: 40.0 %, 2.0 %/s, 30 s left");
  const Progress unknown("read", 0);
  EXPECT_EQ(unknown.line(7, 2, 0), "read: 7, 3.5/s");
}

TEST(Progress, Units) {
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(98362432), "98.4 MB");
  EXPECT_EQ(format_bytes(999.6e6), "1.0 GB");
  EXPECT_EQ(format_duration(59.4), "59 s");
  EXPECT_EQ(format_duration(61), "1 min 01 s");
  EXPECT_EQ(format_duration(7260), "2 h 01 min");
}

TEST(AtomicFile, LinksStayAndPipesAreWrittenTo) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / fmt::format("citius_links_{}", ::getpid());
  fs::create_directories(folder / "b");
  fs::create_symlink("b/file", folder / "link");
  write_file(folder / "b/file", "old");
  write_file(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "b/file", 10), "new");
  fs::create_symlink("circle", folder / "circle");
  EXPECT_TRUE(is_there(folder / "circle"));
  EXPECT_FALSE(is_there(folder / "nothing"));
  EXPECT_THROW(read_file(folder / "circle", 10), Error);
  const fs::path pipe = folder / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
  write_file(pipe, "through");
  char got[16] = {};
  EXPECT_EQ(::read(reader, got, sizeof got), 7);
  EXPECT_TRUE(fs::is_fifo(pipe));
  ::close(reader);
  fs::remove_all(folder);
}

TEST(AtomicFile, KeepsPermissionsAndFollowsLinksThatLeadNowhere) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::temp_directory_path() / fmt::format("citius_modes_{}", ::getpid());
  fs::create_directories(folder / "b");
  const auto mode_of = [](const fs::path& path) { return static_cast<int>(fs::status(path).permissions()); };
  write_file(folder / "file", "old");
  for (const int mode : {0600, 0666, 0444}) {
    fs::permissions(folder / "file", static_cast<fs::perms>(mode));
    write_file(folder / "file", "new");
    EXPECT_EQ(mode_of(folder / "file"), mode);
  }
  fs::create_symlink("second", folder / "first");
  fs::create_symlink("b/nothing", folder / "second");
  write_file(folder / "first", "made");
  EXPECT_TRUE(fs::is_symlink(folder / "first") && fs::is_symlink(folder / "second"));
  EXPECT_EQ(read_file(folder / "b/nothing", 10), "made");
  fs::create_symlink("circle", folder / "circle");
  EXPECT_THROW(write_file(folder / "circle", ""), Error);
  EXPECT_TRUE(fs::is_symlink(folder / "circle"));
  fs::remove_all(folder);
}

TEST(AtomicFile, OverwriteReplacesWhatWasWritten) {
  const std::filesystem::path path = std::filesystem::temp_directory_path() / fmt::format("citius_over_{}", ::getpid());
  AtomicFile file(path);
  file.write("0000rest");
  file.overwrite(0, "1234");
  file.commit();
  EXPECT_EQ(read_file(path, 100), "1234rest");
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace citius
