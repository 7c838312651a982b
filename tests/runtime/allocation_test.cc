// Steps of a decoder allocate nothing once it is warm: this program counts what operator new is asked for.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "runtime/decoder.h"
#include "support/tiny_model.h"

// Sanitizers have an operator new of their own.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CITIUS_COUNTS_NEW 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CITIUS_COUNTS_NEW 0
#endif
#endif
#ifndef CITIUS_COUNTS_NEW
#define CITIUS_COUNTS_NEW 1
#endif

namespace {

std::atomic<int64_t> num_allocations{0};  // of all threads

[[maybe_unused]] void* allocate(std::size_t bytes, std::size_t alignment) {
  num_allocations.fetch_add(1, std::memory_order_relaxed);
  const std::size_t size = (bytes + alignment - 1) / alignment * alignment;
  void* memory = alignment <= alignof(std::max_align_t) ? std::malloc(bytes) : std::aligned_alloc(alignment, size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

#if CITIUS_COUNTS_NEW
void* operator new(std::size_t bytes) { return allocate(bytes, 1); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return allocate(bytes, static_cast<std::size_t>(alignment)); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
#endif

namespace citius {
namespace {

// Sequences that grow by their most likely tokens.
class Replies {
 public:
  Replies(Decoder& decoder, int64_t count, size_t prompt) : decoder_(decoder) {
    for (int64_t i = 0; i < count; ++i) {
      prompts_.push_back(test::random_ids(prompt, 96, static_cast<uint64_t>(i)));
      steps_.push_back({decoder.create(), prompts_.back()});
      rows_.push_back(static_cast<int64_t>(prompt) * (i + 1) - 1);
    }
    next_.resize(static_cast<size_t>(count));
    run();
    for (int64_t i = 0; i < count; ++i) {
      rows_[static_cast<size_t>(i)] = i;
      steps_[static_cast<size_t>(i)].tokens = std::span(next_).subspan(static_cast<size_t>(i), 1);
    }
  }
  void run() { std::ranges::copy(decoder_.most_likely(decoder_.logits(decoder_.forward(steps_), rows_)), next_.begin()); }

 private:
  Decoder& decoder_;
  std::vector<std::vector<int32_t>> prompts_;
  std::vector<Decoder::Step> steps_;
  std::vector<int64_t> rows_;
  std::vector<int32_t> next_;
};

TEST(Allocation, WarmStepsOfADecoderAllocateNothing) {
  if (!CITIUS_COUNTS_NEW) GTEST_SKIP() << "a sanitizer's operator new counts nothing";
  for (const int threads : {1, 2}) {
    for (const Format format : {Format::kF32, Format::kQ8_0}) {
      EngineOptions options;
      options.num_threads = threads;
      options.policy = [format](const WeightRecord&) { return format; };
      Engine engine = test::make_engine(test::tiny_llama(), options);
      Decoder decoder(engine, 4096);
      for (const int64_t count : {1, 3}) {
        for (const size_t prompt : {5, 600}) {  // one span of keys, and two
          Replies replies(decoder, count, prompt);
          for (int step = 0; step < 3; ++step) replies.run();
          const size_t workspace = decoder.workspace_bytes() + engine.backend->workspace_bytes();
          const int64_t before = num_allocations.load();
          ASSERT_GT(before, 0);  // it does count
          for (int step = 0; step < 150; ++step) replies.run();
          EXPECT_EQ(num_allocations.load() - before, 0) << threads << " threads, " << count << " sequences from " << prompt;
          EXPECT_EQ(decoder.workspace_bytes() + engine.backend->workspace_bytes(), workspace);
        }
      }
    }
  }
}

}  // namespace
}  // namespace citius
