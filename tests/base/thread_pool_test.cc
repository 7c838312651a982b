#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

namespace citius {
namespace {

TEST(ThreadPool, EveryIndexOnceForManyLoops) {
  ThreadPool pool(4);
  for (int round = 0; round < 2000; ++round) {
    std::vector<int> hits(37, 0);
    pool.parallel_for(37, 5, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ++hits[i];
    });
    for (int hit : hits) ASSERT_EQ(hit, 1);
  }
}

// After pauses in which workers fall asleep, and after such in which some just do.
TEST(ThreadPool, WakesWorkersThatSleep) {
  for (const int threads : {2, 4}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 300; ++round) {
      std::this_thread::sleep_for(std::chrono::microseconds(round % 3 * 60));
      std::atomic<int> calls{0};
      pool.run([&](int, int) { ++calls; });
      ASSERT_EQ(calls, threads);
    }
  }
}

TEST(ThreadPool, LoopsOfLessThanTwoGrainsStayOnTheCallingThread) {
  ThreadPool pool(2);
  const auto shared = [&](int64_t count) {
    const uint32_t before = pool.num_shared_loops();
    pool.parallel_for(count, 10, [](int64_t, int64_t) {});
    return pool.num_shared_loops() != before;
  };
  EXPECT_FALSE(shared(0));
  EXPECT_FALSE(shared(10));
  EXPECT_TRUE(shared(11));
  ThreadPool alone(1);
  alone.run([](int, int) {});
  EXPECT_EQ(alone.num_shared_loops(), 0U);
}

TEST(ThreadPool, SharesOutEveryIndexOnce) {
  for (const int threads : {1, 2, 3, 16}) {
    ThreadPool pool(threads);
    for (const int64_t count : {0, 1, 2, 7, 100}) {
      for (int round = 0; round < 50; ++round) {
        std::vector<std::atomic<int>> hits(static_cast<size_t>(count));
        std::atomic<bool> known{true};
        pool.share_out(count, [&](int64_t i, int thread) {
          ++hits[static_cast<size_t>(i)];
          if (thread < 0 || thread >= threads) known = false;
        });
        for (const std::atomic<int>& hit : hits) ASSERT_EQ(hit, 1) << threads << " " << count;
        ASSERT_TRUE(known);
      }
    }
  }
}

TEST(ThreadPool, OthersTakeWhatAThreadLeaves) {
  ThreadPool pool(2);
  std::atomic<int> done{0};
  // The first index waits until all others are done: those of its own thread too.
  pool.share_out(10, [&](int64_t i, int) {
    while (i == 0 && done < 9) {
    }
    ++done;
  });
  EXPECT_EQ(done, 10);
  EXPECT_THROW(pool.share_out(10,
                              [](int64_t i, int) {
                                if (i == 3) throw std::runtime_error("boom");
                              }),
               std::runtime_error);
  pool.share_out(10, [&](int64_t, int) { ++done; });
  EXPECT_EQ(done, 20);
}

TEST(ThreadPool, WhatWasWrittenBeforeABarrierIsSeenBehindIt) {
  for (const int threads : {1, 2, 3, 16}) {
    ThreadPool pool(threads);
    std::vector<int> written(static_cast<size_t>(threads), 0), seen(written.size(), 0);
    const auto count = [&](int round) {
      int sum = 0;
      for (const int value : written) sum += value == round ? 1 : 0;
      return sum;
    };
    for (int round = 1; round <= 50; ++round) {
      pool.run([&](int thread, int) {
        const auto i = static_cast<size_t>(thread);
        written[i] = round;
        pool.barrier();
        seen[i] = count(round);
        pool.barrier();
        written[i] = -round;
      });
      for (const int sum : seen) ASSERT_EQ(sum, threads);
      ASSERT_EQ(count(-round), threads);
      std::atomic<int> right{0};
      pool.share_out(
          40,
          [&](int thread, int) {
            written[static_cast<size_t>(thread)] = round;
            pool.barrier();
          },
          [&](int64_t, int) { right += count(round) == threads ? 1 : 0; });
      ASSERT_EQ(right, 40);
    }
  }
}

TEST(ThreadPool, RethrowsAndStaysUsable) {
  ThreadPool pool(3);
  EXPECT_THROW(pool.run([](int thread, int) {
    if (thread == 2) throw std::runtime_error("boom");
  }),
               std::runtime_error);
  std::atomic<int> calls{0};
  pool.run([&](int, int) { ++calls; });
  EXPECT_EQ(calls, 3);
}

TEST(ThreadPool, FlushesDenormalsInEveryThread) {
  ThreadPool pool(2);
  std::vector<float> sums(2, 1.0f);
  volatile float tiny = std::numeric_limits<float>::min();
  pool.run([&](int thread, int) { sums[thread] = tiny * 0.25f; });
  EXPECT_EQ(sums[0], 0.0f);
  EXPECT_EQ(sums[1], 0.0f);
  EXPECT_NE(tiny * 0.25f, 0.0f);  // the caller's own mode is restored
}

}  // namespace
}  // namespace citius
