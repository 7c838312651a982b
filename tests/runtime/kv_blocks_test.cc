#include "runtime/kv_blocks.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/rng.h"

namespace citius {
namespace {

TEST(KvBlocks, NeverLosesOrDoublesABlock) {
  constexpr int64_t kBlocks = 37;
  KvBlocks blocks(kBlocks);
  const CounterRng rng(11);
  std::map<int32_t, int32_t> owned;  // block → references, by our own count
  for (uint64_t event = 0; event < 1000000; ++event) {
    const uint64_t kind = rng.bits(2 * event) % 3;
    if (kind == 0) {
      if (blocks.num_free() == 0) {
        EXPECT_THROW(blocks.take(), Error);
      } else {
        const int32_t block = blocks.take();
        ASSERT_TRUE(block >= 0 && block < kBlocks);
        ASSERT_TRUE(owned.emplace(block, 1).second);
      }
    } else if (!owned.empty()) {
      auto it = owned.begin();
      std::advance(it, static_cast<std::ptrdiff_t>(rng.bits(2 * event + 1) % owned.size()));
      if (kind == 1 && it->second < 4) {
        blocks.share(it->first);
        ++it->second;
      } else {
        blocks.release(it->first);
        if (--it->second == 0) owned.erase(it);
      }
    }
    ASSERT_EQ(blocks.num_free() + static_cast<int64_t>(owned.size()), kBlocks);
  }
}

}  // namespace
}  // namespace citius
