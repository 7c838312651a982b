// A persistent pool of threads for data-parallel loops. The caller takes part. Workers spin briefly for the next loop, because
// the loops of a small model follow one another within microseconds, and then sleep. Nobody ever takes a lock: loops begin and
// end by atomic numbers, and a worker that slept is woken by a system call.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/cgroup.h"

namespace citius {

/// Non-owning reference to a callable `void(int thread, int num_threads)`; nothing is allocated.
class ParallelBody {
 public:
  template <typename F>
  ParallelBody(const F& body)  // NOLINT: implicit by design
      : object_(&body),
        call_([](const void* object, int thread, int num_threads) { (*static_cast<const F*>(object))(thread, num_threads); }) {}
  void operator()(int thread, int num_threads) const { call_(object_, thread, num_threads); }

 private:
  const void* object_;
  void (*call_)(const void*, int, int);
};

class ThreadPool {
 public:
  /// `num_threads` counts the caller; 1 starts no thread.
  explicit ThreadPool(int num_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int num_threads() const { return num_threads_; }
  /// Loops so far that were not for the calling thread alone; modulo 2^32.
  uint32_t num_shared_loops() const;

  /// Runs body(thread, num_threads) once on every thread and returns when all are done. An exception of any thread is
  /// rethrown here (the first one). One loop at a time: calls must not nest nor come from two threads at once.
  /// Denormals are flushed to zero in every thread of the pool, and in the caller for the duration of the call.
  void run(ParallelBody body);

  /// Inside a body of run() or a `before` of share_out(): returns when every thread that runs the body has come here as often. No thread of
  /// a body that does this may throw.
  void barrier();

  /// Splits [0, count) into one contiguous range per thread, at multiples of `grain`, and calls body(begin, end).
  /// With less than two grains of work it stays on the calling thread.
  template <typename F>
  void parallel_for(int64_t count, int64_t grain, const F& body) {
    const int64_t chunks = (count + grain - 1) / grain;
    if (chunks <= 0) return;
    run_some(chunks < num_threads_ ? static_cast<int>(chunks) : num_threads_, [&](int thread, int num_threads) {
      const int64_t begin = chunks * thread / num_threads * grain;
      const int64_t end = chunks * (thread + 1) / num_threads * grain;
      if (begin < end) body(begin, end < count ? end : count);
    });
  }

  /// Calls body(index, thread) for every index below `count` (below 2^32). Each thread has a share of consecutive indices, in the order of
  /// the threads as parallel_for() has them, and takes them ascending; one that is done takes the last ones of the others.
  template <typename F>
  void share_out(int64_t count, const F& body) {
    share_out(count, [](int, int) {}, body);
  }
  /// The same after before(thread, num_threads) on each thread; what a thread needs of the others' part of it comes after a barrier().
  template <typename Before, typename F>
  void share_out(int64_t count, const Before& before, const F& body) {
    for (int thread = 0; thread < num_threads_; ++thread) {
      shares_[static_cast<size_t>(thread)].reset(count * thread / num_threads_, count * (thread + 1) / num_threads_);
    }
    run([&](int thread, int num_threads) {
      before(thread, num_threads);
      for (int k = 0; k < num_threads; ++k) {
        Share& share = shares_[static_cast<size_t>((thread + k) % num_threads)];
        for (int64_t i = share.take(k > 0); i >= 0; i = share.take(k > 0)) body(i, thread);
      }
    });
  }

 private:
  void run_some(int num_threads, ParallelBody body);

  // Indices [begin, end), in the low and the high half of one number.
  class alignas(64) Share {
   public:
    void reset(int64_t begin, int64_t end) { range_.store(pack(begin, end), std::memory_order_relaxed); }
    /// The first index that is left, or the last; -1 where none is.
    int64_t take(bool last) {
      uint64_t range = range_.load(std::memory_order_relaxed);
      for (;;) {
        const auto begin = static_cast<int64_t>(range & 0xffffffff), end = static_cast<int64_t>(range >> 32);
        if (begin >= end) return -1;
        const uint64_t rest = last ? pack(begin, end - 1) : pack(begin + 1, end);
        if (range_.compare_exchange_weak(range, rest, std::memory_order_relaxed)) return last ? end - 1 : begin;
      }
    }

   private:
    static uint64_t pack(int64_t begin, int64_t end) { return static_cast<uint64_t>(begin) | static_cast<uint64_t>(end) << 32; }
    std::atomic<uint64_t> range_{0};
  };
  struct State;
  int num_threads_;
  std::vector<Share> shares_;  // of share_out()
  std::unique_ptr<State> state_;
};

/// Threads to use where nobody says: CITIUS_THREADS, or the hardware threads this process may run on, but no more than the cgroups' quota
/// of processor time. Throws Error{kUsage} where CITIUS_THREADS is no number from 1 to 1024.
int default_num_threads(const CgroupFiles& cgroups = {});

/// Sets flush-to-zero and denormals-are-zero for the current thread while it lives.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  uint64_t saved_;
};

}  // namespace citius
