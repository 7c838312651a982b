// What is planned is asked for as a whole before anything is taken, and nothing that runs takes more.
#include "runtime/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/proc_file.h"
#include "runtime/generator.h"
#include "support/tiny_model.h"

namespace citius {
namespace {

Checkpoint llama_of_context(int64_t context) {
  Checkpoint checkpoint = test::tiny_llama();
  checkpoint.config["max_position_embeddings"] = context;
  return checkpoint;
}

EngineOptions one_thread(int64_t context) {
  EngineOptions options;
  options.num_threads = 1;
  options.context = context;
  return options;
}

// Leaves this process so many bytes more of data than it has.
class DataLimit {
 public:
  explicit DataLimit(int64_t bytes) {
    EXPECT_EQ(::getrlimit(RLIMIT_DATA, &before_), 0);
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(number_after("/proc/self/status", "VmData:") * 1024 + bytes);
    EXPECT_EQ(::setrlimit(RLIMIT_DATA, &limit), 0);
  }
  ~DataLimit() { ::setrlimit(RLIMIT_DATA, &before_); }

 private:
  rlimit before_{};
};

TEST(MemoryPlan, PartsThatFitAloneAreRefusedWhereTheyDoNotFitTogether) {
  constexpr int64_t kContext = 8192;
  const Checkpoint checkpoint = llama_of_context(kContext);
  Engine planned = open_to_plan(checkpoint, one_thread(kContext));
  const MemoryPlan plan = plan_memory(planned, kContext, 1);
  const double others = plan.weight_bytes + plan.workspace_bytes, largest = std::max(others, plan.kv_bytes);
  ASSERT_GT(plan.needed() - largest, 2e6);
  {
    const DataLimit limit(static_cast<int64_t>((largest + plan.needed()) / 2));
    EXPECT_THAT([&] { open_engine(checkpoint, one_thread(kContext)); },
                testing::ThrowsMessage<Error>(testing::AllOf(testing::HasSubstr("weights"), testing::HasSubstr("keys and values"),
                                                             testing::HasSubstr("workspace"), testing::HasSubstr("lower the context"))));
    const ModelConfig& config = planned.model().config();
    EXPECT_NO_THROW(nn::KvCache(config.num_layers, kContext / kKvBlock, config.kv_heads, config.head_dim, planned.kv_type));
  }
  EXPECT_NO_THROW(open_engine(checkpoint, one_thread(kContext)));
}

TEST(MemoryPlan, WeightsThatAreMappedAreNotAvailable) {
  ASSERT_GT(available_memory(), 0);
  {
    MemoryClaim claim;
    claim.add(int64_t{1} << 60);
    EXPECT_EQ(available_memory(), 0);
    const MemoryClaim moved = std::move(claim);
    EXPECT_EQ(available_memory(), 0);
  }
  EXPECT_GT(available_memory(), 0);
}

TEST(MemoryPlan, BeamsFeedTheirPromptInChunks) {
  constexpr int64_t kContext = 2048;
  Engine engine = open_engine(llama_of_context(kContext), one_thread(kContext));
  Engine planned = open_to_plan(llama_of_context(kContext), one_thread(kContext));
  Generator generator(engine);
  GenerationRequest request;
  request.prompt = test::random_ids(1900, 96, 3);
  request.max_tokens = 3;
  request.num_beams = 3;
  const GenerationResult beams = generator.generate({&request, 1})[0];
  EXPECT_EQ(beams.tokens.size(), 3U);
  const size_t used = generator.decoder().workspace_bytes() + engine.backend->workspace_bytes();
  EXPECT_LE(static_cast<double>(used), plan_memory(planned, kContext, 3).workspace_bytes);
}

TEST(Arena, WhatIsReservedLiesInOneBlock) {
  Arena arena;
  arena.reserve(size_t{10} << 20);
  auto* first = static_cast<std::byte*>(arena.alloc_bytes(size_t{3} << 20));
  auto* second = static_cast<std::byte*>(arena.alloc_bytes(size_t{7} << 20));
  EXPECT_EQ(second - first, int64_t{3} << 20);
}

}  // namespace
}  // namespace citius
