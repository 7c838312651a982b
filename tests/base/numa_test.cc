// Over which NUMA nodes memory is spread, by files as the kernel writes them, and the policy that the system then reports.
#include "base/numa.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "base/file.h"

namespace citius {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::IsEmpty;

TEST(KernelList, Ranges) {
  EXPECT_THAT(parse_kernel_list("0\n"), ElementsAre(0));
  EXPECT_THAT(parse_kernel_list("\t0-1,3"), ElementsAre(0, 1, 3));
  EXPECT_THAT(parse_kernel_list("2,4-6,8191\n"), ElementsAre(2, 4, 5, 6, 8191));
}

TEST(KernelList, WhatIsNoListIsEmpty) {
  for (const char* text : {"", "\n", "a", "0-", "-1", "0,", ",0", "0 1", "0-1x", "3-1", "1,1", "1-3,2", "8192", "0-4294967295", "0-0-0"}) {
    EXPECT_THAT(parse_kernel_list(text), IsEmpty()) << text;
  }
}

class NodesTest : public testing::Test {
 protected:
  NodesTest() : root_(fs::temp_directory_path() / fmt::format("citius_numa_{}", ::getpid())) {
    put("has_cpu", "0-1,3\n");
    put("node0/cpulist", "0-3,16-19\n");
    put("node1/cpulist", "4-7,20-23\n");
    put("node3/cpulist", "8-15\n");
  }
  ~NodesTest() override { fs::remove_all(root_); }
  void put(const std::string& name, const std::string& content) {
    fs::create_directories((root_ / name).parent_path());
    write_file(root_ / name, content);
  }
  std::vector<int> nodes(const std::string& processors, const std::string& memories) {
    put("status",
        "Name:\tx\nCpus_allowed:\tff\nCpus_allowed_list:\t" + processors + "\nMems_allowed:\t0\nMems_allowed_list:\t" + memories + "\n");
    return nodes_to_spread(root_, root_ / "status");
  }

  fs::path root_;
};

TEST_F(NodesTest, ThoseThatThreadsMayRunOn) {
  EXPECT_THAT(nodes("0-23", "0-3"), ElementsAre(0, 1, 3));
  EXPECT_THAT(nodes("3-4", "0-3"), ElementsAre(0, 1));
  EXPECT_THAT(nodes("16,15", "0-3"), IsEmpty()) << "no list of the kernel";
  EXPECT_THAT(nodes("15-16", "0-3"), ElementsAre(0, 3));
}

TEST_F(NodesTest, OneNodeNeedsNoSpreading) {
  EXPECT_THAT(nodes("0-2,17", "0-3"), IsEmpty());
  EXPECT_THAT(nodes("8-15", "0-3"), IsEmpty());
}

TEST_F(NodesTest, OnlyWhereMemoryMayBeTaken) {
  EXPECT_THAT(nodes("0-23", "0-1"), ElementsAre(0, 1));
  EXPECT_THAT(nodes("0-23", "1-2"), IsEmpty());
  EXPECT_THAT(nodes("8-15", "0-2"), IsEmpty());
}

TEST_F(NodesTest, MemoryWithoutProcessorsIsNotUsed) {
  put("has_cpu", "0-1\n");
  EXPECT_THAT(nodes("0-23", "0-3"), ElementsAre(0, 1));
  put("has_cpu", "0\n");
  EXPECT_THAT(nodes("0-23", "0-3"), IsEmpty());
}

TEST_F(NodesTest, MissingFiles) {
  EXPECT_THAT(nodes_to_spread(root_, root_ / "absent"), IsEmpty());
  EXPECT_THAT(nodes_to_spread(root_ / "absent", root_ / "absent"), IsEmpty());
  fs::remove(root_ / "node1" / "cpulist");
  EXPECT_THAT(nodes("0-7", "0-3"), IsEmpty());
}

// In a thread of its own: the policy is a thread's, and other tests keep theirs.
TEST(MemoryPolicy, IsThatOfTheNodes) {
  std::thread([] {
    const MemoryPolicy before = memory_policy();
    spread_memory();
    const MemoryPolicy after = memory_policy();
    if (before.name != "default" || nodes_to_spread().empty()) {
      EXPECT_EQ(after.name, before.name);
      EXPECT_EQ(after.nodes, before.nodes);
    } else if (after.name != "default") {  // where it is not refused
      EXPECT_EQ(after.name, "interleave");
      EXPECT_EQ(after.nodes, nodes_to_spread());
    }
  }).join();
}

}  // namespace
}  // namespace citius
