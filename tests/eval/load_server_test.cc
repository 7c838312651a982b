// A model as a server: every request gets what was asked for, and what prompts have in common is computed once.
#include "eval/load_server.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "support/tiny_model.h"

namespace citius {
namespace {

Engine engine_of(Checkpoint checkpoint, int64_t context = 0) {
  EngineOptions options;
  options.num_threads = 2;
  options.context = context;
  return open_engine(std::move(checkpoint), options);
}

// All requests at once; tokens (or results) that each got.
std::map<size_t, int64_t> run(ModelServer& server, const std::vector<LoadRequest>& requests) {
  server.reset(requests);
  for (size_t i = 0; i < requests.size(); ++i) server.submit(i);
  std::map<size_t, int64_t> got;
  while (!server.idle()) {
    for (const size_t request : server.step()) ++got[request];
  }
  return got;
}

TEST(ModelServer, PromptsInCommonAreComputedOnce) {
  Engine engine = engine_of(test::tiny_llama());
  const std::vector<LoadRequest> requests = {{0, {{0, 130}, {1, 5}}, 3}, {0, {{0, 130}, {2, 5}}, 3}, {0, {{0, 130}, {3, 5}}, 2}};
  const std::map<size_t, int64_t> wanted = {{0, 3}, {1, 3}, {2, 2}};
  const auto server = ModelServer::make(engine, 138, {.batch = 3});
  for (int time = 0; time < 2; ++time) {  // reset() forgets what was cached
    EXPECT_EQ(run(*server, requests), wanted);
    EXPECT_EQ(server->counters().reused_tokens, 2 * 128);
    EXPECT_EQ(server->counters().tokens, 3 * 135 - 2 * 128 + 2 + 2 + 1);
    EXPECT_EQ(server->counters().steps, 4);
  }
  const auto anew = ModelServer::make(engine, 138, {.batch = 3, .reuse_prefixes = false});
  EXPECT_EQ(run(*anew, requests), wanted);
  EXPECT_EQ(anew->counters().reused_tokens, 0);
  EXPECT_EQ(anew->counters().steps, 3);
}

TEST(ModelServer, AnEncoderTakesWhatWaits) {
  Engine engine = engine_of(test::tiny_bert());
  const std::vector<LoadRequest> requests = {{0, {{1, 9}}, 0}, {0, {{2, 5}}, 0}, {0, {{3, 7}}, 0}};
  const auto server = ModelServer::make(engine, 9, {.batch = 2});
  EXPECT_EQ(run(*server, requests), (std::map<size_t, int64_t>{{0, 1}, {1, 1}, {2, 1}}));
  EXPECT_EQ(server->counters().steps, 2);
  EXPECT_EQ(server->counters().tokens, 21);
}

TEST(ModelServer, RefusesWhatTheContextDoesNotHold) {
  for (const bool causal : {true, false}) {
    Engine engine = engine_of(causal ? test::tiny_llama() : test::tiny_bert(), 16);
    EXPECT_NO_THROW(ModelServer::make(engine, 16, {}));
    EXPECT_THROW(ModelServer::make(engine, 17, {}), Error);
  }
}

}  // namespace
}  // namespace citius
