// Scheduler: which tokens of which sequences the next step of the model takes, and which blocks their keys and values
// are in. Pure bookkeeping, no tensors and no clock: whoever drives it says what time it is. Replies of running
// sequences and chunks of prompts share one step (chunked prefill: Agrawal et al. 2023, "Sarathi"); blocks are given as
// sequences grow, and where they run out the sequence that comes last gives its own back and is computed anew later
// (Kwon et al. 2023, "PagedAttention"). Prompts that begin alike are computed once as far as whole blocks go: one that comes
// while another computes its beginning waits for that step. What a sequence computes never depends on any of this (docs/numerics.md).
#pragma once

#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "runtime/kv_blocks.h"

namespace citius {

struct SchedulerOptions {
  int64_t step_tokens = 512;  // tokens of one step at most, at least max_running
  int64_t max_running = 256;  // sequences that hold blocks at once
  bool reuse_prefixes = true;
  double aging_s = 10;  // coming this much earlier counts as one step of priority, so that nobody waits for ever
};

struct SequenceRequest {
  std::vector<int32_t> prompt;                                  // at least one token
  int64_t max_tokens = 0;                                       // of the reply
  int32_t priority = 0;                                         // higher goes first (but see aging_s); equals in the order they came
  double deadline_s = std::numeric_limits<double>::infinity();  // on the clock of plan(); then it is dropped
  bool reuse_prefix = true;  // false where every prompt token must pass through the model (its scores are wanted)
};

class Scheduler {
 public:
  using Id = int64_t;

  /// `blocks` is shared with whoever else takes blocks from it, and outlives the scheduler.
  Scheduler(KvBlocks& blocks, const SchedulerOptions& options);

  /// Throws Error{kInput} for a request whose prompt and reply can never fit.
  Id add(SequenceRequest request, double now_s);
  /// Forgets a request, wherever it is. Unknown ids are ignored: it may have ended meanwhile.
  void cancel(Id id);

  /// One sequence's part of a step. The spans are valid until the step is committed.
  struct Work {
    Id id;
    std::span<const int32_t> tokens;  // to feed
    int64_t past;                     // tokens before them
    std::span<const int32_t> blocks;  // the sequence's block table, those of `tokens` included
    bool chooses;                     // these are its last known tokens: a next one must be chosen
  };
  /// The next step, valid until the next call; empty where there is nothing to do. Sequences past their deadline are
  /// dropped first (take_dropped()). Throws Error{kResource} where nothing can run because others hold the blocks.
  std::span<const Work> plan(double now_s);
  /// The planned step has run: its keys and values are written.
  void commit();
  /// The next token of a sequence whose work `chooses`.
  void append(Id id, int32_t token);
  /// A sequence has ended.
  void finish(Id id) { cancel(id); }

  /// Ids dropped because their deadline passed, since the last call.
  std::vector<Id> take_dropped();
  bool idle() const { return sequences_.empty(); }

  struct Counters {
    int64_t steps = 0;
    int64_t tokens = 0;                // fed
    int64_t reused_tokens = 0;         // not fed, because their keys and values were there
    int64_t reused_prompt_tokens = 0;  // of them, those of prompts when they began first
    int64_t preemptions = 0;
    int64_t dropped = 0;
  };
  const Counters& counters() const { return counters_; }

 private:
  struct Sequence {
    SequenceRequest request;
    double arrival_s = 0;
    std::vector<int32_t> tokens;  // prompt and reply so far
    int64_t fed = 0;              // of them
    std::vector<int32_t> blocks;
    int64_t published = 0;                        // blocks that were given to publish(), or found
    KvBlocks::Content content = KvBlocks::kRoot;  // of the last of those
    bool planned = false;                         // in work_
    bool begun = false;                           // at least once
  };

  Sequence& at(Id id) { return sequences_.at(id); }
  bool precedes(Id a, Id b) const;
  double urgency(const Sequence& sequence) const;
  void drop_late(double now_s);
  void make_way();
  void admit(int64_t budget);
  bool has_room(int64_t num_blocks, std::span<const Id> without = {}) const;
  enum class Beginning { kDone, kNextStep, kNoRoom };
  void find_beginning(Sequence& sequence);
  Beginning begin(Id id);
  bool shares_step(const Sequence& sequence) const;
  int64_t schedule(Id id, int64_t budget);
  bool reserve(Id id, int64_t length);
  bool preempt_after(Id id);
  void preempt(Id id);
  void release_blocks(Sequence& sequence);
  std::vector<Id>::iterator next_waiting();

  KvBlocks& blocks_;
  SchedulerOptions options_;
  std::map<Id, Sequence> sequences_;
  std::vector<Id> waiting_;
  std::vector<Id> running_;  // by precedence
  std::vector<Work> work_;
  bool pending_ = false;  // work_ is not committed
  std::vector<Id> dropped_;
  Counters counters_;
  Id next_ = 0;
};

}  // namespace citius
