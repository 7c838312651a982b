// Limits of cgroups as the kernel writes them, and the refusal of what does not fit.
#include "base/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

class CgroupMemoryTest : public testing::Test {
 protected:
  CgroupMemoryTest() : root_(fs::temp_directory_path() / fmt::format("citius_cgroup_{}", ::getpid())) {}
  ~CgroupMemoryTest() override { fs::remove_all(root_); }
  void put(const std::string& name, const std::string& content) {
    fs::create_directories((root_ / name).parent_path());
    write_file(root_ / name, content);
  }
  std::optional<CgroupMemory> read() { return cgroup_memory(root_, root_ / "self"); }

  fs::path root_;
};

TEST_F(CgroupMemoryTest, TheTightestGroupOfVersion2Counts) {
  put("self", "0::/outer/inner\n");
  EXPECT_FALSE(read());
  put("outer/inner/memory.max", "max\n");
  EXPECT_FALSE(read());
  put("outer/memory.max", "1000\n");
  put("outer/memory.current", "700\n");
  put("outer/memory.stat", "anon 500\nfile 200\ninactive_file 150\n");
  put("memory.max", "5000\n");
  put("memory.current", "700\n");
  ASSERT_TRUE(read());
  EXPECT_EQ(read()->limit, 1000);
  EXPECT_EQ(read()->used, 550);  // file pages that nobody uses are given back before anyone is killed
}

TEST_F(CgroupMemoryTest, Version1) {
  put("self", "5:cpu:/x\n4:memory:/a\n");
  put("memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(read());
  put("memory/a/memory.limit_in_bytes", "1000\n");
  put("memory/a/memory.usage_in_bytes", "400\n");
  ASSERT_TRUE(read());
  EXPECT_EQ(read()->limit - read()->used, 600);
}

TEST(Memory, WhatDoesNotFitIsRefusedWithTheNumbers) {
  EXPECT_GT(available_memory(), 0);
  require_memory("a byte", 1, "");
  try {
    require_memory("a universe", 1e18, "think smaller");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("a universe would take"), testing::HasSubstr("available"),
                                             testing::HasSubstr("think smaller")));
  }
}

}  // namespace
}  // namespace citius
