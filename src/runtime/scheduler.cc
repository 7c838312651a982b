#include "runtime/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"

namespace citius {
namespace {

int64_t blocks_for(int64_t tokens) { return (tokens + kKvBlock - 1) / kKvBlock; }

}  // namespace

Scheduler::Scheduler(KvBlocks& blocks, const SchedulerOptions& options) : blocks_(blocks), options_(options) {
  CHECK(options.max_running >= 1 && options.step_tokens >= options.max_running && options.aging_s > 0);
}

Scheduler::Id Scheduler::add(SequenceRequest request, double now_s) {
  CHECK(!request.prompt.empty());
  const int64_t most = static_cast<int64_t>(request.prompt.size()) + request.max_tokens;
  if (blocks_for(most) > blocks_.num_blocks()) {
    fail_input("prompt",
               "got {} tokens with reply, expected at most {} (the room for keys and values); ask for a shorter reply (--max-tokens) or "
               "more room (--context)",
               most, blocks_.num_blocks() * kKvBlock);
  }
  const Id id = next_++;
  Sequence& sequence = sequences_[id];
  sequence.tokens = request.prompt;
  sequence.request = std::move(request);
  sequence.arrival_s = now_s;
  waiting_.push_back(id);
  return id;
}

void Scheduler::cancel(Id id) {
  const auto place = sequences_.find(id);
  if (place == sequences_.end()) return;
  release_blocks(place->second);
  std::erase(waiting_, id);
  std::erase(running_, id);
  if (pending_) {
    std::erase_if(work_, [id](const Work& work) { return work.id == id; });
    pending_ = !work_.empty();  // a step that failed is given up when all its requests are
  }
  sequences_.erase(place);
}

std::vector<Scheduler::Id> Scheduler::take_dropped() { return std::exchange(dropped_, {}); }

// One order for all, waiting or running, which time does not change: whoever goes first now is never made to wait by someone it will
// have to make way for.
bool Scheduler::precedes(Id a, Id b) const {
  const double left = urgency(sequences_.at(a)), right = urgency(sequences_.at(b));
  return left != right ? left > right : a < b;  // ids grow with the order of arrival
}

double Scheduler::urgency(const Sequence& sequence) const { return sequence.request.priority - sequence.arrival_s / options_.aging_s; }

void Scheduler::drop_late(double now_s) {
  for (const auto& [id, sequence] : sequences_) {
    if (sequence.request.deadline_s < now_s) dropped_.push_back(id);
  }
  for (Id id : dropped_) {
    if (sequences_.contains(id)) ++counters_.dropped;
    cancel(id);
  }
}

std::span<const Scheduler::Work> Scheduler::plan(double now_s) {
  CHECK(!pending_);  // commit() before the next plan
  work_.clear();
  drop_late(now_s);
  make_way();
  int64_t budget = options_.step_tokens;
  // Replies first: each needs one token, and whoever reads them waits for it. Then what is left of prompts, then new
  // ones.
  for (const bool replies : {true, false}) {
    const std::vector<Id> order = running_;
    for (Id id : order) {
      const Sequence& sequence = at(id);
      const bool is_reply = static_cast<int64_t>(sequence.tokens.size()) - sequence.fed == 1;
      if (is_reply == replies && !sequence.planned && std::find(running_.begin(), running_.end(), id) != running_.end()) {
        budget -= schedule(id, budget);
      }
    }
  }
  admit(budget);
  if (work_.empty() && !running_.empty()) {
    fail(ErrorKind::kResource, "keys and values", "all {} blocks are held elsewhere", blocks_.num_blocks());
  }
  pending_ = !work_.empty();
  return work_;
}

// The next waiting sequence takes the place of running ones that come after it and have a lower priority, as few as make room for it;
// where all of them would not, none goes.
void Scheduler::make_way() {
  if (waiting_.empty()) return;
  const Id id = *next_waiting();
  Sequence& next = at(id);
  std::vector<Id> lower;  // the last first
  for (auto place = running_.rbegin(); place != running_.rend() && precedes(id, *place); ++place) {
    if (at(*place).request.priority < next.request.priority) lower.push_back(*place);
  }
  if (lower.empty()) return;
  find_beginning(next);  // keeps what it shares with others
  const int64_t needed = blocks_for(std::ssize(next.tokens)) - std::ssize(next.blocks);
  const auto fits = [&](size_t count) {
    return std::ssize(running_) - static_cast<int64_t>(count) < options_.max_running && has_room(needed, std::span(lower).first(count));
  };
  size_t count = 0;
  if (fits(lower.size())) {
    while (!fits(count)) ++count;
  }
  release_blocks(next);
  for (size_t i = 0; i < count; ++i) preempt(lower[i]);
}

void Scheduler::admit(int64_t budget) {
  std::vector<Id> later;  // no more than could run: a long queue is not searched through
  while (budget > 0 && !waiting_.empty() && std::ssize(running_) + std::ssize(later) < options_.max_running) {
    const auto place = next_waiting();
    const Id id = *place;
    const Beginning beginning = begin(id);
    if (beginning == Beginning::kNoRoom) break;  // not overtaken by smaller ones: it would wait for ever
    waiting_.erase(place);
    if (beginning == Beginning::kNextStep) {
      later.push_back(id);
      continue;
    }
    running_.insert(std::upper_bound(running_.begin(), running_.end(), id, [&](Id a, Id b) { return precedes(a, b); }), id);
    budget -= schedule(id, budget);
  }
  waiting_.insert(waiting_.end(), later.begin(), later.end());
}

// Whether a sequence that needs so many blocks may begin, once those of `without` have ended: every other running one is left the blocks
// of what is known of it, and one to grow.
bool Scheduler::has_room(int64_t num_blocks, std::span<const Id> without) const {
  int64_t free = blocks_.num_free(), others = 0;
  std::map<int32_t, int32_t> given;  // references to a block that go
  for (Id id : running_) {
    const Sequence& sequence = sequences_.at(id);
    if (std::find(without.begin(), without.end(), id) != without.end()) {
      for (int32_t block : sequence.blocks) free += ++given[block] == blocks_.references(block) ? 1 : 0;
      continue;
    }
    const int64_t most = blocks_for(std::ssize(sequence.request.prompt) + sequence.request.max_tokens);
    free -= std::min(most, blocks_for(std::ssize(sequence.tokens)) + 1) - std::ssize(sequence.blocks);
    ++others;
  }
  return others == 0 || num_blocks <= free;
}

// Gives the sequence the blocks that are known of its beginning. The last token always passes through the model: its logits are wanted.
void Scheduler::find_beginning(Sequence& sequence) {
  CHECK(sequence.blocks.empty() && sequence.fed == 0);
  if (!options_.reuse_prefixes || !sequence.request.reuse_prefix) return;
  while (sequence.fed + kKvBlock < std::ssize(sequence.tokens)) {
    const auto tokens = std::span(sequence.tokens).subspan(static_cast<size_t>(sequence.fed), static_cast<size_t>(kKvBlock));
    const auto found = blocks_.find(sequence.content, tokens);
    if (!found) break;
    sequence.blocks.push_back(found->block);
    sequence.content = found->content;
    sequence.fed += kKvBlock;
    ++sequence.published;
  }
}

// Takes what is known of the sequence's beginning, unless this step computes more of it or the rest would not find room.
Scheduler::Beginning Scheduler::begin(Id id) {
  Sequence& sequence = at(id);
  const auto length = static_cast<int64_t>(sequence.tokens.size());
  find_beginning(sequence);
  if (options_.reuse_prefixes && sequence.request.reuse_prefix && shares_step(sequence)) {
    release_blocks(sequence);
    return Beginning::kNextStep;
  }
  const int64_t needed = blocks_for(length) - std::ssize(sequence.blocks);
  if (!has_room(needed)) {
    release_blocks(sequence);
    return Beginning::kNoRoom;
  }
  counters_.reused_tokens += sequence.fed;
  if (!std::exchange(sequence.begun, true)) counters_.reused_prompt_tokens += sequence.fed;
  return Beginning::kDone;
}

// Whether this step computes a whole block of what the sequence begins with, beyond what it has.
bool Scheduler::shares_step(const Sequence& sequence) const {
  const int64_t wanted = std::min(std::ssize(sequence.tokens) - 1, sequence.fed + kKvBlock) / kKvBlock * kKvBlock;
  if (wanted <= sequence.fed) return false;
  return std::any_of(work_.begin(), work_.end(), [&](const Work& work) {
    // What was computed before this step and is not found now never will be: nobody waits for it.
    if (work.past >= wanted || work.past + std::ssize(work.tokens) < wanted) return false;
    return std::equal(sequence.tokens.begin(), sequence.tokens.begin() + wanted, sequences_.at(work.id).tokens.begin());
  });
}

// Plans up to `budget` tokens of a running sequence; how many.
int64_t Scheduler::schedule(Id id, int64_t budget) {
  Sequence& sequence = at(id);
  const int64_t left = static_cast<int64_t>(sequence.tokens.size()) - sequence.fed;
  const int64_t count = std::min(left, budget);
  if (count <= 0 || !reserve(id, sequence.fed + count)) return 0;
  sequence.planned = true;
  work_.push_back({id, std::span(sequence.tokens).subspan(static_cast<size_t>(sequence.fed), static_cast<size_t>(count)), sequence.fed,
                   sequence.blocks, count == left});
  return count;
}

// Blocks for the first `length` tokens. Where they run out, sequences that come later and have no work in this step
// give theirs. False where there are none: then those before it go first, and one that nobody precedes fits alone.
bool Scheduler::reserve(Id id, int64_t length) {
  Sequence& sequence = at(id);
  while (std::ssize(sequence.blocks) < blocks_for(length)) {
    if (blocks_.num_free() > 0) {
      sequence.blocks.push_back(blocks_.take());
    } else if (!preempt_after(id)) {
      return false;
    }
  }
  return true;
}

// Preempts the last sequence after `id` that has no work in this step.
bool Scheduler::preempt_after(Id id) {
  for (auto place = running_.rbegin(); place != running_.rend() && *place != id; ++place) {
    if (!at(*place).planned) {
      preempt(*place);
      return true;
    }
  }
  return false;
}

void Scheduler::preempt(Id id) {
  Sequence& sequence = at(id);
  CHECK(!sequence.planned);
  release_blocks(sequence);
  std::erase(running_, id);
  waiting_.push_back(id);
  ++counters_.preemptions;
}

void Scheduler::release_blocks(Sequence& sequence) {
  for (size_t i = sequence.blocks.size(); i-- > 0;) blocks_.release(sequence.blocks[i]);
  sequence.blocks.clear();
  sequence.fed = 0;
  sequence.published = 0;
  sequence.content = KvBlocks::kRoot;
}

std::vector<Scheduler::Id>::iterator Scheduler::next_waiting() {
  return std::min_element(waiting_.begin(), waiting_.end(), [&](Id a, Id b) { return precedes(a, b); });
}

void Scheduler::commit() {
  CHECK(pending_ || work_.empty());
  for (const Work& work : work_) {
    Sequence& sequence = at(work.id);
    sequence.planned = false;
    sequence.fed += static_cast<int64_t>(work.tokens.size());
    counters_.tokens += static_cast<int64_t>(work.tokens.size());
    while (options_.reuse_prefixes && (sequence.published + 1) * kKvBlock <= sequence.fed) {
      const auto tokens =
          std::span(sequence.tokens).subspan(static_cast<size_t>(sequence.published * kKvBlock), static_cast<size_t>(kKvBlock));
      sequence.content = blocks_.publish(sequence.blocks[static_cast<size_t>(sequence.published)], sequence.content, tokens);
      ++sequence.published;
    }
  }
  counters_.steps += pending_ ? 1 : 0;
  pending_ = false;
}

void Scheduler::append(Id id, int32_t token) {
  Sequence& sequence = at(id);
  CHECK(!sequence.planned && sequence.fed == static_cast<int64_t>(sequence.tokens.size()));
  sequence.tokens.push_back(token);
}

}  // namespace citius
