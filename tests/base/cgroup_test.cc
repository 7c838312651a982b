// Limits of cgroups as the kernel writes them, and the number of threads that follows from them.
#include "base/cgroup.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/thread_pool.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

class CgroupTest : public testing::Test {
 protected:
  CgroupTest() : root_(fs::temp_directory_path() / fmt::format("citius_cgroup_{}", ::getpid())) {}
  ~CgroupTest() override { fs::remove_all(root_); }
  void put(const std::string& name, const std::string& content) {
    fs::create_directories((root_ / name).parent_path());
    write_file(root_ / name, content);
  }
  CgroupFiles files() const { return {root_, root_ / "self"}; }
  std::optional<CgroupMemory> memory() const { return cgroup_memory(files()); }

  fs::path root_;
};

TEST_F(CgroupTest, TightestMemoryOfVersion2) {
  put("self", "0::/outer/inner\n");
  EXPECT_FALSE(memory());
  put("outer/inner/memory.max", "max\n");
  EXPECT_FALSE(memory());
  put("outer/memory.max", "1000\n");
  put("outer/memory.current", "700\n");
  put("outer/memory.stat", "anon 450\nfile 250\nshmem 60\ninactive_anon 510\ninactive_file 110\nactive_file 40\nunevictable 40\n");
  put("memory.max", "5000\n");
  put("memory.current", "700\n");
  ASSERT_TRUE(memory());
  EXPECT_EQ(memory()->limit, 1000);
  EXPECT_EQ(memory()->used, 550);  // file pages that nobody uses are given back before anyone is killed
}

TEST_F(CgroupTest, MemoryOfVersion1) {
  put("self", "5:cpu:/x\n4:memory:/a\n");
  put("memory/a/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_FALSE(memory());
  put("memory/a/memory.limit_in_bytes", "1000\n");
  put("memory/a/memory.usage_in_bytes", "400\n");
  ASSERT_TRUE(memory());
  EXPECT_EQ(memory()->limit - memory()->used, 600);
  put("memory/a/memory.stat", "inactive_file 1\nactive_file 2\ntotal_inactive_file 100\ntotal_active_file 250\n");
  EXPECT_EQ(memory()->used, 50);
}

TEST_F(CgroupTest, TightestQuotaOfVersion2) {
  put("self", "0::/outer/inner\n");
  EXPECT_FALSE(cgroup_cpus(files()));
  put("outer/inner/cpu.max", "max 100000\n");
  EXPECT_FALSE(cgroup_cpus(files()));
  put("outer/inner/cpu.max", "300000 100000\n");
  EXPECT_EQ(cgroup_cpus(files()), 3.0);
  put("outer/cpu.max", "75000 50000\n");
  EXPECT_EQ(cgroup_cpus(files()), 1.5);
  // In a container the limits lie at the root of what is mounted, whatever the group is called outside.
  put("cpu.max", "50000 100000\n");
  EXPECT_EQ(cgroup_cpus(files()), 0.5);
  for (const char* damaged : {"", "0 0\n", "-1 100000\n", "100000\n", "x y\n"}) {
    put("cpu.max", damaged);
    EXPECT_EQ(cgroup_cpus(files()), 1.5) << damaged;
  }
}

TEST_F(CgroupTest, TightestQuotaOfVersion1) {
  put("self", "5:cpuset:/z\n4:cpu,cpuacct:/a/b\n2:memory:/x\n0::/\n");
  put("cpu/cpu.cfs_quota_us", "-1\n");
  put("cpu/cpu.cfs_period_us", "100000\n");
  put("cpu/a/b/cpu.cfs_quota_us", "-1\n");
  put("cpu/a/b/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(cgroup_cpus(files()));
  put("cpu/a/cpu.cfs_quota_us", "250000\n");
  put("cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpus(files()), 2.5);
  put("cpu/a/b/cpu.cfs_quota_us", "100000\n");
  EXPECT_EQ(cgroup_cpus(files()), 1.0);
  fs::rename(root_ / "cpu", root_ / "cpu,cpuacct");
  EXPECT_EQ(cgroup_cpus(files()), 1.0);
}

TEST(Cgroup, NothingWhereThereAreNone) {
  const CgroupFiles none{"/nonexistent", "/nonexistent/self"};
  EXPECT_FALSE(cgroup_memory(none));
  EXPECT_FALSE(cgroup_cpus(none));
}

// The affinity and the variable are put back.
class DefaultThreadsTest : public CgroupTest {
 protected:
  DefaultThreadsTest() {
    if (const char* text = std::getenv("CITIUS_THREADS")) variable_ = text;
    ::unsetenv("CITIUS_THREADS");
    known_ = ::sched_getaffinity(0, sizeof(affinity_), &affinity_) == 0;
  }
  ~DefaultThreadsTest() override {
    ::unsetenv("CITIUS_THREADS");
    if (variable_) ::setenv("CITIUS_THREADS", variable_->c_str(), 1);
    if (known_) ::sched_setaffinity(0, sizeof(affinity_), &affinity_);
  }

  std::optional<std::string> variable_;
  cpu_set_t affinity_;
  bool known_ = false;
};

TEST_F(DefaultThreadsTest, Variable) {
  put("self", "0::/\n");
  put("cpu.max", "100000 100000\n");
  for (const char* right : {"1", "7", "1024"}) {
    ::setenv("CITIUS_THREADS", right, 1);
    EXPECT_EQ(default_num_threads(files()), std::atoi(right));
  }
  for (const char* wrong : {"0", "-1", "1025", "zz", "2x", " ", "99999999999999999999"}) {
    ::setenv("CITIUS_THREADS", wrong, 1);
    EXPECT_THROW(default_num_threads(files()), Error) << wrong;
  }
  ::setenv("CITIUS_THREADS", "", 1);
  EXPECT_EQ(default_num_threads(files()), 1);
}

TEST_F(DefaultThreadsTest, AffinityAndQuota) {
  const CgroupFiles none{"/nonexistent", "/nonexistent/self"};
  if (!known_) GTEST_SKIP() << "more processors than a fixed set holds";
  const int all = CPU_COUNT(&affinity_);
  EXPECT_EQ(default_num_threads(none), all);
  put("self", "0::/group\n");
  for (const auto& [quota, threads] : {std::pair("5000", 1), {"100000", 1}, {"199999", 1}, {"200000", 2}, {"100000000", all}}) {
    put("group/cpu.max", std::string(quota) + " 100000\n");
    EXPECT_EQ(default_num_threads(files()), std::min(all, threads)) << quota;
  }
  cpu_set_t last;
  CPU_ZERO(&last);
  for (int processor = CPU_SETSIZE - 1; CPU_COUNT(&last) == 0; --processor) {
    if (CPU_ISSET(processor, &affinity_)) CPU_SET(processor, &last);
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof(last), &last), 0);
  EXPECT_EQ(default_num_threads(none), 1);
}

}  // namespace
}  // namespace citius
