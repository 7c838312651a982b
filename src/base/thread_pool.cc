#include "base/thread_pool.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <exception>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/error.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace citius {
namespace {

void pause_cpu() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// About 50 microseconds of pauses on current x86 cores: longer than the serial gaps between the ops of one token,
// shorter than anything a user would notice as wasted power.
constexpr int kSpins = 2000;

// Not std::atomic's wait(), which yields before it sleeps: a thread that yielded on a busy machine runs later than one that was woken
// (loops of four threads on two cores took twice as long).
void futex(std::atomic<uint32_t>& number, int operation, uint32_t value) {
  static_assert(sizeof(number) == sizeof(uint32_t) && std::atomic<uint32_t>::is_always_lock_free);
  ::syscall(SYS_futex, &number, operation, value, nullptr, nullptr, 0);
}

// For what other threads are about to do. One may have lost its core: after a while the scheduler may run it here.
template <typename Condition>
void spin_until(const Condition& condition) {
  for (int spin = 0; !condition(); ++spin) {
    if (spin < kSpins) {
      pause_cpu();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace

FlushDenormals::FlushDenormals() {
#if defined(__x86_64__)
  saved_ = _mm_getcsr();
  _mm_setcsr(static_cast<unsigned>(saved_) | 0x8040);  // FTZ | DAZ
#elif defined(__aarch64__)
  asm volatile("mrs %0, fpcr" : "=r"(saved_));
  asm volatile("msr fpcr, %0" ::"r"(saved_ | (uint64_t{1} << 24)));
#endif
}

FlushDenormals::~FlushDenormals() {
#if defined(__x86_64__)
  _mm_setcsr(static_cast<unsigned>(saved_));
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" ::"r"(saved_));
#endif
}

struct ThreadPool::State {
  // `epoch` is bumped to start a loop; each worker decrements `pending` when done. 32 bits, which is what the system can wait for.
  alignas(64) std::atomic<uint32_t> epoch{0};
  alignas(64) std::atomic<int> pending{0};
  // Of barrier(): the last of `arrived` begins the next round.
  alignas(64) std::atomic<int> arrived{0};
  std::atomic<uint64_t> round{0};
  alignas(64) std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};
  const ParallelBody* body = nullptr;
  int active = 0;
  std::atomic<bool> failed{false};
  std::exception_ptr error;  // of the first thread that failed
  std::vector<std::thread> threads;

  void call(int thread) {
    try {
      (*body)(thread, active);
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }

  void wait_for_epoch(uint32_t seen) {
    for (int spin = 0; spin < kSpins; ++spin) {
      if (epoch.load(std::memory_order_acquire) != seen) return;
      pause_cpu();
    }
    // Either publish() sees this sleeper, or this thread sees the new epoch and does not fall asleep.
    sleepers.fetch_add(1);
    while (epoch.load() == seen) futex(epoch, FUTEX_WAIT_PRIVATE, seen);
    sleepers.fetch_sub(1);
  }

  void work(int thread) {
    FlushDenormals flush;
    uint32_t seen = 0;
    for (;;) {
      wait_for_epoch(seen);
      seen = epoch.load(std::memory_order_acquire);
      if (stop.load()) return;
      // Every worker answers every epoch, so that none can still be reading `body` when the next loop starts.
      if (thread < active) call(thread);
      pending.fetch_sub(1, std::memory_order_release);
    }
  }

  void join() {
    stop.store(true);
    publish();
    for (std::thread& thread : threads) thread.join();
  }

  void publish() {
    epoch.fetch_add(1);
    if (sleepers.load() > 0) futex(epoch, FUTEX_WAKE_PRIVATE, INT_MAX);
  }
};

ThreadPool::ThreadPool(int num_threads)
    : num_threads_(num_threads), shares_(static_cast<size_t>(std::max(1, num_threads))), state_(std::make_unique<State>()) {
  CHECK(num_threads >= 1);
  try {
    for (int thread = 1; thread < num_threads; ++thread) {
      state_->threads.emplace_back([state = state_.get(), thread] { state->work(thread); });
    }
  } catch (const std::system_error& error) {
    const size_t started = state_->threads.size() + 1;
    state_->join();
    fail(ErrorKind::kResource, "threads", "could start {} of {}: {}", started, num_threads, error.what());
  }
}

ThreadPool::~ThreadPool() { state_->join(); }

uint32_t ThreadPool::num_shared_loops() const { return state_->epoch.load(std::memory_order_relaxed); }

void ThreadPool::run(ParallelBody body) { run_some(num_threads_, body); }

void ThreadPool::run_some(int num_threads, ParallelBody body) {
  FlushDenormals flush;
  State& state = *state_;
  state.active = num_threads;
  if (num_threads == 1) {
    body(0, 1);
    return;
  }
  state.body = &body;
  state.pending.store(num_threads_ - 1, std::memory_order_relaxed);
  state.publish();
  state.call(0);
  spin_until([&] { return state.pending.load(std::memory_order_acquire) == 0; });
  if (state.failed.exchange(false)) std::rethrow_exception(std::exchange(state.error, nullptr));
}

void ThreadPool::barrier() {
  State& state = *state_;
  const uint64_t round = state.round.load(std::memory_order_acquire);
  if (state.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == state.active) {
    state.arrived.store(0, std::memory_order_relaxed);
    state.round.store(round + 1, std::memory_order_release);
  } else {
    spin_until([&] { return state.round.load(std::memory_order_acquire) != round; });
  }
}

namespace {

// Hardware threads that this process may run on. The kernel refuses a set that is smaller than its own.
int usable_processors() {
  for (int size = CPU_SETSIZE; size <= (1 << 20); size *= 2) {
    cpu_set_t* set = CPU_ALLOC(static_cast<size_t>(size));
    if (set == nullptr) break;
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(size));
    const bool read = sched_getaffinity(0, bytes, set) == 0;
    const bool too_small = !read && errno == EINVAL;
    const int count = read ? CPU_COUNT_S(bytes, set) : 1;
    CPU_FREE(set);
    if (!too_small) return std::max(1, count);
  }
  return 1;
}

}  // namespace

int default_num_threads(const CgroupFiles& cgroups) {
  if (const char* text = std::getenv("CITIUS_THREADS"); text != nullptr && *text != '\0') {
    char* end = nullptr;
    const long value = std::strtol(text, &end, 10);
    if (*end != '\0' || value < 1 || value > 1024) {
      fail(ErrorKind::kUsage, "CITIUS_THREADS", "got '{}', expected a number from 1 to 1024", text);
    }
    return static_cast<int>(value);
  }
  const int processors = usable_processors();
  const auto quota = cgroup_cpus(cgroups);
  // Rounded down: threads that wait for one another by spinning would use up what is left of the last processor's time.
  return quota && *quota < processors ? std::max(1, static_cast<int>(*quota)) : processors;
}

}  // namespace citius
