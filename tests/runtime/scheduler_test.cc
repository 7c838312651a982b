// The scheduler without a model. A shadow memory stands for keys and values: each slot holds the tokens it was computed
// from, so that every plan can be checked for what a model would read.
#include "runtime/scheduler.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/rng.h"

namespace citius {
namespace {

using Id = Scheduler::Id;

// Runs plans on the shadow memory: a slot holds a digest of its token and all tokens before it.
class Shadow {
 public:
  Shadow(KvBlocks& blocks, Scheduler& scheduler)
      : blocks_(blocks), scheduler_(scheduler), slots_(static_cast<size_t>(blocks.num_blocks() * kKvBlock), 0) {}

  // One step: checks what would be read, writes, commits and lets every finished prompt choose a token. `next` gives
  // it, or -1 to end the sequence. `known` holds the tokens of every sequence.
  template <typename Next>
  size_t step(double now_s, std::map<Id, std::vector<int32_t>>& known, const Next& next) {
    std::vector<std::pair<Id, bool>> done;
    for (const Scheduler::Work& work : scheduler_.plan(now_s)) {
      check_and_write(work, known.at(work.id));
      done.emplace_back(work.id, work.chooses);
    }
    scheduler_.commit();
    for (const auto& [id, chooses] : done) {
      if (!chooses) continue;
      const int32_t token = next(id);
      if (token < 0) {
        scheduler_.finish(id);
        known.erase(id);
      } else {
        scheduler_.append(id, token);
        known.at(id).push_back(token);
      }
    }
    return done.size();
  }

 private:
  void check_and_write(const Scheduler::Work& work, const std::vector<int32_t>& tokens) {
    const auto end = static_cast<size_t>(work.past) + work.tokens.size();
    ASSERT_LE(end, tokens.size());
    ASSERT_EQ(work.chooses, end == tokens.size());
    ASSERT_GE(work.blocks.size() * static_cast<size_t>(kKvBlock), end);
    uint64_t digest = 0;
    for (size_t i = 0; i < end; ++i) {
      digest = (digest ^ static_cast<uint64_t>(tokens[i] + 1)) * 1099511628211u;
      const int32_t block = work.blocks[i / kKvBlock];
      uint64_t& slot = slots_[static_cast<size_t>(block) * kKvBlock + i % kKvBlock];
      if (i < static_cast<size_t>(work.past)) {
        ASSERT_EQ(slot, digest) << "token " << i << " of sequence " << work.id << " would read another's keys";
      } else {
        ASSERT_EQ(work.tokens[i - static_cast<size_t>(work.past)], tokens[i]);
        ASSERT_EQ(blocks_.references(block), 1) << "a shared block is written";
        slot = digest;
      }
    }
  }

  KvBlocks& blocks_;
  Scheduler& scheduler_;
  std::vector<uint64_t> slots_;
};

std::vector<int32_t> prompt_of(int64_t length, int32_t first = 0) {
  std::vector<int32_t> tokens(static_cast<size_t>(length));
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = first + static_cast<int32_t>(i);
  return tokens;
}

TEST(Scheduler, RandomEventsKeepEveryBlockWhereItBelongs) {
  constexpr int64_t kBlocks = 24;
  KvBlocks blocks(kBlocks);
  SchedulerOptions options;
  options.step_tokens = 96;
  options.max_running = 6;
  Scheduler scheduler(blocks, options);
  Shadow shadow(blocks, scheduler);
  const CounterRng rng(5);
  uint64_t draw = 0;
  const auto random = [&](uint64_t below) { return rng.bits(draw++) % below; };
  std::map<Id, std::vector<int32_t>> known;
  std::map<Id, size_t> ends;  // length at which a sequence ends
  uint64_t events = 0;
  int64_t finished = 0;
  double now_s = 0;
  while (events < 1000000) {
    now_s += 0.01;
    if (known.size() < 20 && random(4) == 0) {
      // Prompts begin alike in groups, so that prefixes are found, and part at random places.
      SequenceRequest request;
      request.prompt = prompt_of(static_cast<int64_t>(random(500)), static_cast<int32_t>(random(3)) * 1000);
      request.prompt.push_back(static_cast<int32_t>(random(50)));
      request.max_tokens = static_cast<int64_t>(1 + random(200));
      request.priority = static_cast<int32_t>(random(3));
      request.reuse_prefix = random(8) != 0;
      if (random(16) == 0) request.deadline_s = now_s + static_cast<double>(random(100)) * 0.01;
      const std::vector<int32_t> prompt = request.prompt;
      const size_t end = prompt.size() + static_cast<size_t>(request.max_tokens);
      const Id id = scheduler.add(std::move(request), now_s);
      known[id] = prompt;
      ends[id] = end;
      ++events;
    }
    if (!known.empty() && random(64) == 0) {
      const auto it = std::next(known.begin(), static_cast<std::ptrdiff_t>(random(known.size())));
      scheduler.cancel(it->first);
      known.erase(it);
      ++events;
    }
    events += 1 + shadow.step(now_s, known, [&](Id id) {
      const bool end = known.at(id).size() + 1 >= ends.at(id);
      finished += end ? 1 : 0;
      return end ? -1 : static_cast<int32_t>(random(40));
    });
    if (HasFatalFailure()) return;
    for (Id id : scheduler.take_dropped()) known.erase(id);
    ASSERT_EQ(scheduler.idle(), known.empty());
  }
  EXPECT_GT(finished, 1000);
  EXPECT_GT(scheduler.counters().preemptions, 100);
  EXPECT_GT(scheduler.counters().reused_tokens, 10000);
  EXPECT_GT(scheduler.counters().dropped, 10);
  for (int steps = 0; !scheduler.idle(); ++steps) {
    ASSERT_LT(steps, 100000) << "somebody waits for ever";
    shadow.step(now_s, known, [&](Id id) { return known.at(id).size() + 1 >= ends.at(id) ? -1 : 1; });
    for (Id id : scheduler.take_dropped()) known.erase(id);
  }
  EXPECT_EQ(blocks.num_free(), kBlocks);
  for (int64_t block = 0; block < kBlocks; ++block) EXPECT_EQ(blocks.references(static_cast<int32_t>(block)), 0);
}

TEST(Scheduler, RepliesShareStepsWithChunksOfPrompts) {
  KvBlocks blocks(64);
  SchedulerOptions options;
  options.step_tokens = 100;
  options.max_running = 8;
  Scheduler scheduler(blocks, options);
  const Id first = scheduler.add({prompt_of(10), 50}, 0);
  ASSERT_EQ(scheduler.plan(0).size(), 1u);
  scheduler.commit();
  scheduler.append(first, 7);
  scheduler.add({prompt_of(350, 1000), 5}, 0);
  int64_t fed = 0;
  for (int64_t expected : {99, 99, 99, 53}) {
    const auto work = scheduler.plan(0);
    ASSERT_EQ(work.size(), 2u);
    EXPECT_EQ(work[0].id, first);
    EXPECT_EQ(work[0].tokens.size(), 1u);
    EXPECT_TRUE(work[0].chooses);
    EXPECT_EQ(work[1].past, fed);
    EXPECT_EQ(std::ssize(work[1].tokens), expected);
    EXPECT_EQ(work[1].chooses, expected == 53);
    fed += expected;
    scheduler.commit();
    scheduler.append(first, 8);
  }
}

TEST(Scheduler, PromptsThatBeginAlikeAreComputedOnce) {
  KvBlocks blocks(64);
  Scheduler scheduler(blocks, {});
  const Id first = scheduler.add({prompt_of(200), 1}, 0);
  ASSERT_EQ(scheduler.plan(0)[0].tokens.size(), 200u);
  scheduler.commit();
  scheduler.finish(first);
  // 192 tokens lie in full blocks; what follows differs. A prompt of exactly two blocks keeps its last token to
  // compute.
  std::vector<int32_t> other = prompt_of(192);
  other.insert(other.end(), {9999, 9998});
  scheduler.add({other, 1}, 0);
  scheduler.add({prompt_of(128), 1}, 0);
  SequenceRequest scored{prompt_of(200), 1};
  scored.reuse_prefix = false;
  scheduler.add(scored, 0);
  const auto work = scheduler.plan(0);
  ASSERT_EQ(work.size(), 3u);
  EXPECT_EQ(work[0].past, 192);
  EXPECT_EQ(work[0].tokens.size(), 2u);
  EXPECT_EQ(work[1].past, 64);
  EXPECT_EQ(work[2].past, 0);
  EXPECT_EQ(work[0].blocks[0], work[1].blocks[0]);
  EXPECT_NE(work[0].blocks[0], work[2].blocks[0]);
}

TEST(Scheduler, PromptsThatComeTogetherAndBeginAlikeAreComputedOnce) {
  KvBlocks blocks(64);
  Scheduler scheduler(blocks, {});
  const Id first = scheduler.add({prompt_of(150), 1}, 0);
  const Id alike = scheduler.add({prompt_of(200), 1}, 0);
  const Id again = scheduler.add({prompt_of(150), 1}, 0);
  const Id other = scheduler.add({prompt_of(100, 1000), 1}, 0);  // overtakes those that wait
  std::vector<int32_t> shorter = prompt_of(60);                  // shares no whole block
  const Id apart = scheduler.add({shorter, 1}, 0);
  const auto begun = scheduler.plan(0);
  ASSERT_EQ(begun.size(), 3u);
  EXPECT_EQ(begun[0].id, first);
  EXPECT_EQ(begun[1].id, other);
  EXPECT_EQ(begun[2].id, apart);
  scheduler.commit();
  for (const Id id : {first, other, apart}) scheduler.finish(id);
  const auto next = scheduler.plan(0);
  ASSERT_EQ(next.size(), 2u);
  EXPECT_EQ(next[0].id, alike);
  EXPECT_EQ(next[0].past, 128);
  EXPECT_EQ(next[1].id, again);
  EXPECT_EQ(next[1].past, 128);
  EXPECT_EQ(scheduler.counters().reused_tokens, 256);
  EXPECT_EQ(scheduler.counters().reused_prompt_tokens, 256);
}

// Keys of a running sequence that are not published (another published the same before, and lost them since) come to nobody else:
// who begins alike computes them and does not wait.
TEST(Scheduler, NobodyWaitsForABlockThatWasComputedLongAgo) {
  KvBlocks blocks(8);
  Scheduler scheduler(blocks, {});
  const Id first = scheduler.add({prompt_of(128), 1}, 0);
  scheduler.plan(0);
  scheduler.commit();
  scheduler.finish(first);
  SequenceRequest scored{prompt_of(128), 50};
  scored.reuse_prefix = false;
  const Id running = scheduler.add(scored, 0);
  scheduler.plan(0);
  scheduler.commit();
  scheduler.append(running, 7);
  const Id large = scheduler.add({prompt_of(250, 1000), 1}, 0);  // takes the room of a block of the first
  ASSERT_EQ(scheduler.plan(0).size(), 2u);
  scheduler.commit();
  scheduler.append(running, 7);
  scheduler.finish(large);
  const Id alike = scheduler.add({prompt_of(140), 1}, 0);
  const auto work = scheduler.plan(0);
  ASSERT_EQ(work.size(), 2u);
  EXPECT_EQ(work[1].id, alike);
  EXPECT_LT(work[1].past, 128);
}

TEST(Scheduler, HigherPriorityTakesThePlaceOfLower) {
  KvBlocks blocks(4);
  Scheduler scheduler(blocks, {});
  SequenceRequest low{prompt_of(150, 1000), 30};
  const Id patient = scheduler.add(low, 0);
  ASSERT_EQ(scheduler.plan(0).size(), 1u);
  scheduler.commit();
  scheduler.append(patient, 3);
  SequenceRequest high{prompt_of(150), 30};
  high.priority = 1;
  const Id urgent = scheduler.add(high, 0);
  const auto work = scheduler.plan(0);
  ASSERT_EQ(work.size(), 1u);
  EXPECT_EQ(work[0].id, urgent);
  EXPECT_EQ(scheduler.counters().preemptions, 1);
  scheduler.commit();
  scheduler.finish(urgent);
  const auto again = scheduler.plan(0);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].id, patient);
  EXPECT_EQ(again[0].past + std::ssize(again[0].tokens), 151);  // its reply so far is part of what is computed anew
}

TEST(Scheduler, NobodyWaitsForEver) {
  KvBlocks blocks(4);
  SchedulerOptions options;
  options.max_running = 1;
  options.aging_s = 1;
  Scheduler scheduler(blocks, options);
  const Id patient = scheduler.add({prompt_of(10, 500), 1, /*priority=*/0}, 0);
  double now_s = 0;
  bool served = false;
  for (int i = 0; i < 10 && !served; ++i, now_s += 0.5) {
    scheduler.add({prompt_of(10), 1, /*priority=*/2}, now_s);
    const Id id = scheduler.plan(now_s)[0].id;
    served = id == patient;
    scheduler.commit();
    scheduler.finish(id);
  }
  EXPECT_TRUE(served);
}

// Feeds plans until nobody is left, at most `steps`; each sequence ends with its first token. The ids in the order they ended.
std::vector<Id> run_to_end(Scheduler& scheduler, double now_s, double step_s, int64_t steps) {
  std::vector<Id> ended;
  for (int64_t i = 0; i < steps && !scheduler.idle(); ++i, now_s += step_s) {
    std::vector<Id> done;
    for (const Scheduler::Work& work : scheduler.plan(now_s)) {
      if (work.chooses) done.push_back(work.id);
    }
    scheduler.commit();
    for (Id id : done) scheduler.finish(id);
    ended.insert(ended.end(), done.begin(), done.end());
  }
  return ended;
}

TEST(Scheduler, WhoWaitedLongKeepsItsPlaceForAPromptOfSeveralChunks) {
  for (const bool reuse : {false, true}) {
    KvBlocks blocks(32);
    SchedulerOptions options;
    options.max_running = 1;
    options.aging_s = 1;
    Scheduler scheduler(blocks, options);
    const auto request = [&](int32_t first, int32_t priority) {
      SequenceRequest result{prompt_of(1500, first), 1, priority};
      result.reuse_prefix = reuse;
      return result;
    };
    const Id patient = scheduler.add(request(0, 0), 0);
    const Id second = scheduler.add(request(10000, 1), 2);
    const Id third = scheduler.add(request(20000, 1), 2);
    EXPECT_EQ(run_to_end(scheduler, 2, 0.02, 100), (std::vector<Id>{patient, second, third}));
    EXPECT_EQ(scheduler.counters().preemptions, 0);
    EXPECT_EQ(scheduler.counters().tokens, 3 * 1500);
  }
}

TEST(Scheduler, NobodyMakesWayInVain) {
  KvBlocks blocks(32);
  Scheduler scheduler(blocks, {});
  const auto reply = [&](int64_t length, int32_t first, int32_t priority) {
    SequenceRequest request{prompt_of(length, first), 20, priority};
    return scheduler.add(request, 0);
  };
  const Id highest = reply(1200, 0, 2), low = reply(200, 10000, 0), lower = reply(200, 20000, 0);
  std::map<Id, int64_t> work;
  const auto step = [&] {
    work.clear();
    for (const Scheduler::Work& part : scheduler.plan(0)) work[part.id] = part.chooses;
    scheduler.commit();
    for (const auto& [id, chooses] : work) {
      if (chooses) scheduler.append(id, 7);
    }
  };
  for (int i = 0; i < 4; ++i) step();
  ASSERT_EQ(work.size(), 3U);
  const Id high = reply(1100, 30000, 1);  // does not fit beside the highest, whoever else goes
  step();
  EXPECT_EQ(scheduler.counters().preemptions, 0);
  EXPECT_TRUE(work.contains(highest) && work.contains(low) && work.contains(lower));
  scheduler.cancel(high);
  const Id fits = reply(500, 40000, 1);  // needs the blocks of one of them
  step();
  EXPECT_EQ(scheduler.counters().preemptions, 1) << "as few as make room";
  EXPECT_TRUE(work.contains(fits) && work.contains(low) && !work.contains(lower));
}

TEST(Scheduler, ChunksPrioritiesAndAgingEndInBoundedWork) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const CounterRng rng(seed);
    uint64_t draw = 0;
    const auto random = [&](uint64_t below) { return rng.bits(draw++) % below; };
    KvBlocks blocks(static_cast<int64_t>(24 + random(40)));
    SchedulerOptions options;
    options.max_running = static_cast<int64_t>(1 + random(4));
    options.step_tokens = static_cast<int64_t>(64 + random(448));
    options.aging_s = 0.1 * static_cast<double>(1 + random(100));
    Scheduler scheduler(blocks, options);
    int64_t wanted = 0;
    size_t count = 0, ended = 0;
    double now_s = 0;
    for (; count < 30; ++count) {
      SequenceRequest request{prompt_of(static_cast<int64_t>(1 + random(1500)), static_cast<int32_t>(count) * 10000), 1};
      request.priority = static_cast<int32_t>(random(4));
      request.reuse_prefix = random(2) != 0;
      wanted += std::ssize(request.prompt);
      scheduler.add(std::move(request), now_s);
      const auto steps = static_cast<int64_t>(random(6));
      ended += run_to_end(scheduler, now_s, 0.1, steps).size();
      now_s += 0.1 * static_cast<double>(steps);
    }
    // Each arrival may make a few others begin again, and that is all.
    ended += run_to_end(scheduler, now_s, 0.1, 3000).size();
    ASSERT_EQ(ended, count) << "seed " << seed;
    ASSERT_LE(scheduler.counters().preemptions, static_cast<int64_t>(2 * count)) << "seed " << seed;
    ASSERT_LE(scheduler.counters().tokens, 2 * wanted) << "seed " << seed;
    EXPECT_EQ(blocks.num_free(), blocks.num_blocks());
  }
}

TEST(Scheduler, DeadlinesAndCancellation) {
  KvBlocks blocks(8);
  Scheduler scheduler(blocks, {});
  SequenceRequest request{prompt_of(100), 10};
  request.deadline_s = 5;
  const Id late = scheduler.add(request, 0);
  const Id other = scheduler.add({prompt_of(100, 300), 10}, 0);
  EXPECT_EQ(scheduler.plan(4).size(), 2u);
  scheduler.cancel(other);  // between plan and commit
  scheduler.commit();
  scheduler.append(late, 1);
  EXPECT_TRUE(scheduler.plan(6).empty());
  EXPECT_EQ(scheduler.take_dropped(), std::vector<Id>{late});
  EXPECT_TRUE(scheduler.take_dropped().empty());
  EXPECT_TRUE(scheduler.idle());
  EXPECT_EQ(blocks.num_free(), 8);
}

// As a step that throws leaves it: planned, never committed.
TEST(Scheduler, GoesOnAfterAllOfAPlannedStepWereCancelled) {
  KvBlocks blocks(8);
  Scheduler scheduler(blocks, {});
  for (const int64_t first : {0, 300}) {
    const Id one = scheduler.add({prompt_of(100, static_cast<int32_t>(first)), 10}, 0);
    const Id two = scheduler.add({prompt_of(50, static_cast<int32_t>(first + 150)), 10}, 0);
    EXPECT_EQ(scheduler.plan(1).size(), 2u);
    scheduler.cancel(one);
    scheduler.cancel(two);
    EXPECT_TRUE(scheduler.idle());
    EXPECT_EQ(blocks.num_free(), 8);
  }
}

TEST(Scheduler, WhatCanNeverFitIsRefused) {
  KvBlocks blocks(4);
  Scheduler scheduler(blocks, {});
  EXPECT_THROW(scheduler.add({prompt_of(200), 57}, 0), Error);
  EXPECT_NO_THROW(scheduler.add({prompt_of(200), 56}, 0));
}

}  // namespace
}  // namespace citius
