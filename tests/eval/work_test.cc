// The memory plan against what running the model takes.
#include "eval/work.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "heads/head.h"
#include "runtime/encoder.h"
#include "runtime/generator.h"
#include "support/tiny_model.h"

namespace citius {
namespace {

const std::filesystem::path kModels = CITIUS_TEST_DIR "/golden/models";

EngineOptions options_on(const std::string& backend, const FormatPolicy& policy) {
  EngineOptions options;
  options.backend = backend;
  options.num_threads = 2;
  options.policy = policy;
  return options;
}

struct Use {
  size_t weights, kv, workspace;
};

// Prompts that fill the context, and then replies that fill it, all at once.
Use use_of_decoder(Engine& engine, int64_t context, int64_t batch) {
  constexpr int64_t kReply = 8;
  Generator generator(engine, {.sequences = batch});
  for (const int64_t reply : {int64_t{0}, kReply}) {
    std::vector<GenerationRequest> requests(static_cast<size_t>(batch));
    for (GenerationRequest& request : requests) {
      const auto seed = static_cast<uint64_t>(&request - requests.data() + reply * batch);
      request.max_tokens = reply;
      request.prompt = test::random_ids(static_cast<size_t>(context - reply), engine.model().config().vocab_size, seed);
      for (const int32_t end : generator.end_tokens()) request.sampling.logit_bias[end] = -1e4;
    }
    for (const GenerationResult& result : generator.generate(requests)) EXPECT_EQ(std::ssize(result.tokens), reply);
  }
  const Decoder& decoder = generator.decoder();
  return {engine.loaded.load.packed_bytes, decoder.kv_bytes(), decoder.workspace_bytes() + engine.backend->workspace_bytes()};
}

Use use_of_encoder(Engine& engine, int64_t context, int64_t batch) {
  Encoder encoder(engine);
  const auto ids = test::random_ids(static_cast<size_t>(context), engine.model().config().vocab_size, 0);
  const std::vector<EncoderInput> inputs(static_cast<size_t>(batch), EncoderInput{ids, {}});
  encoder.run(inputs, [](const ForwardContext&, size_t, const TensorView&) {});
  return {engine.loaded.load.packed_bytes, encoder.kv_bytes(), encoder.workspace_bytes() + engine.backend->workspace_bytes()};
}

void expect_plan(const Checkpoint& checkpoint, int64_t context, int64_t batch, const FormatPolicy& policy = {}) {
  SCOPED_TRACE(fmt::format("{}, {} tokens, {} sequences", checkpoint.path.string(), context, batch));
  EngineOptions options = options_on("plan", policy);
  options.context = context;
  Engine planned = open_engine(checkpoint, options);
  const MemoryPlan plan = plan_memory(planned, context, batch);
  options.backend = "cpu";
  Engine engine = open_engine(checkpoint, options);
  const bool causal = engine.model().config().causal;
  const Use use = causal ? use_of_decoder(engine, context, batch) : use_of_encoder(engine, context, batch);
  EXPECT_EQ(plan.weight_bytes, static_cast<double>(use.weights));
  EXPECT_EQ(plan.kv_bytes, static_cast<double>(use.kv));
  EXPECT_EQ(plan.workspace_bytes, static_cast<double>(use.workspace));
}

// Rows of which every allocation is a whole number of cache lines are planned to the byte.
TEST(MemoryPlan, IsWhatEveryArchitectureTakes) {
  for (const auto& entry : std::filesystem::directory_iterator(kModels)) {
    if (!entry.is_directory()) continue;
    const Checkpoint checkpoint = open_checkpoint(entry.path());
    const std::optional<HeadKind> head = head_of(checkpoint);
    if (head && *head != HeadKind::kCausalLm) continue;  // the bodies are there without heads too
    EngineOptions look;
    look.backend = "plan";
    const int64_t context = std::min<int64_t>(80, open_engine(checkpoint, look).model().config().max_positions / 16 * 16);
    expect_plan(checkpoint, context, 1);
    expect_plan(checkpoint, context, 5);
  }
}

TEST(MemoryPlan, KnowsWholeBatchesAndPreparedActivations) {
  for (const char* format : {"f32", "bf16", "int8", "int4-g32", "q4_k"}) {
    const Format given = *parse_format(format);
    const FormatPolicy policy = [given](const WeightRecord&) { return given; };
    expect_plan(test::tiny_llama(), 144, 16, policy);  // more than a chunk of the prompts
    expect_plan(test::tiny_llama(), 640, 1, policy);   // several spans of keys
    expect_plan(test::tiny_bert(), 512, 24, policy);   // more than a batch
  }
}

}  // namespace
}  // namespace citius
