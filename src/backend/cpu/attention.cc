// Writing keys and values, and attention, which is cut into pieces (a sequence, a key and value head, some tokens; where these are few, a
// span of the keys) that threads take as they become free. A piece is computed alike whoever takes it.
#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "backend/cpu/op_tasks.h"
#include "base/check.h"

namespace citius::cpu {
namespace {

// Below this many elements written, or multiplications, one thread is done sooner than another wakes.
constexpr int64_t kSmallWrite = 1 << 13;
constexpr int64_t kSmallAttention = 1 << 16;
// Tokens that are written together: keys are transposed so many at a time, and values in bf16 lie in pairs.
constexpr int64_t kWriteTokens = 16;
// Joining so many floats takes less time than waking a thread.
constexpr int64_t kSmallJoin = 1 << 15;
// With fewer pieces a thread, long contexts are cut.
constexpr int64_t kFewPieces = 4;
static_assert(kSpanBlocks * kKvBlock == kKvSpan && kKeys == kKvBlock);

int64_t tokens(const SequenceSpan& sequence) { return sequence.end - sequence.begin; }

void check_sequences(const SequenceSpan* sequences, int64_t count, const KvLayer& kv, int64_t rows) {
  for (int64_t s = 0; s < count; ++s) {
    const SequenceSpan& sequence = sequences[s];
    CHECK(sequence.begin >= 0 && sequence.begin <= sequence.end && sequence.end <= rows && sequence.past >= 0);
    const int64_t length = sequence.past + tokens(sequence);
    for (int64_t b = 0; b < (length + kKvBlock - 1) / kKvBlock; ++b) {
      CHECK(sequence.blocks[b] >= 0 && sequence.blocks[b] < kv.num_blocks);
    }
  }
}

// The kernel for a type out of a table of all of them.
template <typename Kernel, size_t kCount>
Kernel for_type(Kernel const (&kernels)[kCount], KvType type) {
  static_assert(kCount == kNumKvTypes);
  return kernels[static_cast<size_t>(type)];
}

// As ThreadPool::share_out(); on the caller's thread, without `before`, where the work is small.
template <typename Before, typename Body>
void share_out(ThreadPool& pool, int64_t count, bool small, const Before& before, const Body& body) {
  if (!small) return pool.share_out(count, before, body);
  for (int64_t i = 0; i < count; ++i) body(i, 0);
}

// Spans of which the queries of a sequence see keys, at least.
struct Spans {
  int64_t begin, end;
  int64_t count() const { return end - begin; }
};
Spans spans_of(const AttentionArgs& args, const SequenceSpan& sequence) {
  const int64_t first = args.window > 0 ? std::max<int64_t>(0, sequence.past - args.window) : 0;
  return {first / kKvSpan, (sequence.past + tokens(sequence) + kKvSpan - 1) / kKvSpan};
}

AttentionShape shape_of(const AttentionArgs& args) {
  AttentionShape shape;
  shape.kv = args.kv->data;
  shape.part_bytes = args.kv->part_bytes();
  shape.kv_heads = args.kv->heads;
  shape.group = args.q.shape[1] / args.kv->heads;
  shape.head_dim = args.kv->head_dim;
  shape.scale = args.scale;
  shape.causal = args.causal;
  shape.window = args.window;
  shape.softcap = args.softcap;
  shape.bias = args.bias;
  shape.bias_radius = args.bias_radius;
  return shape;
}

// Without its memory.
AttentionTask task_of(const AttentionArgs& args, const AttentionShape& shape, const AttentionPiece& piece) {
  const SequenceSpan& sequence = args.sequences[piece.sequence];
  const int64_t row = sequence.begin + piece.begin, offset = piece.head * shape.group * shape.head_dim;
  AttentionTask task;
  task.shape = &shape;
  task.q = args.q.row(row) + offset;
  task.q_stride = args.q.stride;
  task.out = args.out.row(row) + offset;
  task.out_stride = args.out.stride;
  task.blocks = sequence.blocks;
  task.kv_head = piece.head;
  task.position = sequence.past + piece.begin;
  task.num_queries = piece.count;
  task.length = sequence.past + tokens(sequence);
  task.span = piece.span;
  task.num_spans = piece.num_spans;
  return task;
}

// Runs of new tokens, each within one block.
void list_writes(const SequenceSpan* sequences, int64_t count, std::vector<TokenRun>& runs) {
  runs.clear();
  for (int64_t s = 0; s < count; ++s) {
    const SequenceSpan& sequence = sequences[s];
    for (int64_t t = 0; t < tokens(sequence);) {
      const int64_t run = std::min(kWriteTokens - (sequence.past + t) % kWriteTokens, tokens(sequence) - t);
      runs.push_back({s, t, run});
      t += run;
    }
  }
}

void write_run(const KvWriteArgs& args, const TokenRun& run, void (*kernel)(const KvWriteTask&)) {
  const KvLayer& kv = *args.kv;
  const SequenceSpan& sequence = args.sequences[run.sequence];
  const int64_t position = sequence.past + run.begin, row = sequence.begin + run.begin;
  KvWriteTask task;
  task.k_stride = args.k.stride;
  task.v_stride = args.v.stride;
  task.count = run.count;
  task.slot = position % kKvBlock;
  task.head_dim = kv.head_dim;
  task.part_bytes = kv.part_bytes();
  for (int64_t head = 0; head < kv.heads; ++head) {
    task.k = args.k.row(row) + head * kv.head_dim;
    task.v = args.v.row(row) + head * kv.head_dim;
    task.block = static_cast<char*>(kv.data) + (sequence.blocks[position / kKvBlock] * kv.heads + head) * 2 * task.part_bytes;
    kernel(task);
  }
}

// Asks for what one new token of a sequence is written to: a line in every row of keys, which no hardware sees coming, and a row of values.
void ask_for_slot(const KvLayer& kv, const SequenceSpan& sequence) {
  const int64_t bytes = kv_type_info(kv.type).value_bytes, together = kv.type == KvType::kBF16 ? 2 : 1, slot = sequence.past % kKvBlock;
  const int64_t row_bytes = kKvBlock * bytes * together, value_bytes = kv.head_dim * bytes * together;
  const auto* block = static_cast<const char*>(kv.data) + sequence.blocks[sequence.past / kKvBlock] * kv.heads * 2 * kv.part_bytes();
  for (int64_t part = 0; part < 2 * kv.heads; part += 2) {
    const char* keys = block + part * kv.part_bytes() + slot * bytes * together;
    for (int64_t i = 0; i < kKvBlock * kv.head_dim * bytes; i += row_bytes) __builtin_prefetch(keys + i, 0, 2);
    const char* values = block + (part + 1) * kv.part_bytes() + slot / together * value_bytes;
    for (int64_t i = 0; i < value_bytes; i += 64) __builtin_prefetch(values + i, 0, 2);
  }
}

}  // namespace

void CpuBackend::kv_write(const KvWriteArgs& args) {
  const KvLayer& kv = *args.kv;
  CHECK(args.k.shape == args.v.shape && args.k.shape.rank() == 3 && args.k.shape[1] == kv.heads && args.k.shape[2] == kv.head_dim);
  check_sequences(args.sequences, args.num_sequences, kv, args.k.rows());
  list_writes(args.sequences, args.num_sequences, runs_);
  const auto kernel = for_type(target_.ops->kv_write, kv.type);
  if (trace_.on()) trace_.print("kv_write {} [{}, {}]: {}", kv_type_info(kv.type).name, kv.heads, kv.head_dim, target_.name);
  const int64_t grain = std::max<int64_t>(1, kSmallWrite / (kWriteTokens * kv.heads * kv.head_dim));
  pool_.parallel_for(std::ssize(runs_), grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) write_run(args, runs_[static_cast<size_t>(i)], kernel);
  });
}

AttentionPlan plan_attention(const AttentionArgs& args, int threads) {
  const int64_t H = args.q.shape[1], D = args.kv->head_dim, group = H / args.kv->heads, step = attention_queries(group);
  AttentionPlan plan;
  int64_t pieces = 0, partials = 0;
  bool decoding = true;  // one new token each: what spans sum to is small beside the keys and values
  for (int64_t s = 0; s < args.num_sequences; ++s) {
    const SequenceSpan& sequence = args.sequences[s];
    const int64_t count = tokens(sequence), length = sequence.past + count;
    plan.multiplications += count * length * H * D * 2;
    pieces += (count + step - 1) / step * args.kv->heads;
    partials += spans_of(args, sequence).count() * args.kv->heads;
    decoding = decoding && count == 1;
    plan.split = plan.split || length > kKvSpan;
  }
  plan.split = plan.split && decoding && threads > 1 && pieces < kFewPieces * threads;
  // Whole vectors, so that every thread's part is aligned.
  plan.scratch_floats = (attention_scratch(group, D) + 15) / 16 * 16;
  plan.partial_floats = plan.split ? partials * attention_partial(group, D) : 0;
  return plan;
}

// In the order of the rows, so that a thread's share are those that it multiplied and will multiply.
void CpuBackend::list_pieces(const AttentionArgs& args, const AttentionPlan& plan) {
  const int64_t group = args.q.shape[1] / args.kv->heads, step = attention_queries(group);
  pieces_.clear();
  int64_t partial = 0;
  for (int64_t s = 0; s < args.num_sequences; ++s) {
    const SequenceSpan& sequence = args.sequences[s];
    const Spans spans = spans_of(args, sequence);
    for (int64_t t = 0; t < tokens(sequence); t += step) {
      const int64_t queries = std::min(step, tokens(sequence) - t);
      for (int64_t head = 0; head < args.kv->heads; ++head) {
        if (!plan.split) pieces_.push_back({s, head, t, queries});
        for (int64_t span = spans.begin; plan.split && span < spans.end; ++span) {
          pieces_.push_back({s, head, t, queries, span, span == spans.begin ? spans.count() : 0, partial});
          partial += attention_partial(group, args.kv->head_dim);
        }
      }
    }
  }
}

// New tokens are rotated and written by the thread that has them in its caches.
void CpuBackend::prepare_tokens(const AttentionArgs& args, const TokenRun& run) const {
  for (const TensorView& x : {args.q, args.k}) {
    if (!args.rope || !x) continue;
    RopeTask task = rope_task(x, *args.rope);
    task.begin = args.sequences[run.sequence].begin + run.begin;
    task.end = task.begin + run.count;
    target_.ops->rope(task);
  }
  if (!args.k) return;
  write_run({args.k, args.v, args.sequences, args.num_sequences, args.kv}, run, for_type(target_.ops->kv_write, args.kv->type));
}

void CpuBackend::attention(const AttentionArgs& args) {
  const KvLayer& kv = *args.kv;
  const int64_t H = args.q.shape[1], D = kv.head_dim;
  CHECK(args.q.shape.rank() == 3 && args.q.shape[2] == D && H % kv.heads == 0 && args.out.shape == args.q.shape);
  CHECK(args.k.shape == args.v.shape && (!args.k || (args.k.shape == Shape{args.q.rows(), kv.heads, D})));
  CHECK(args.scale > 0 && args.window >= 0 && args.softcap >= 0);
  const int64_t rotary = args.rope ? args.rope->rotary : 0;
  CHECK(rotary >= 0 && rotary % 2 == 0 && rotary <= D);
  check_sequences(args.sequences, args.num_sequences, kv, args.q.rows());
  if (trace_.on()) {
    trace_.print("attention {} [{}, {}, {}]{}{}: {}", kv_type_info(kv.type).name, H, kv.heads, D, args.rope ? " with rope" : "",
                 args.k ? " with kv_write" : "", target_.name);
  }
  const AttentionShape shape = shape_of(args);
  const AttentionPlan plan = plan_attention(args, pool_.num_threads());
  list_pieces(args, plan);
  list_writes(args.sequences, args.k || args.rope ? args.num_sequences : 0, runs_);
  scratch_.reserve(plan.bytes(pool_.num_threads()));
  auto* memory = reinterpret_cast<float*>(scratch_.data());
  const auto run = [&](auto kernel, const AttentionPiece& piece, int thread) {
    AttentionTask task = task_of(args, shape, piece);
    task.scratch = memory + thread * plan.scratch_floats;
    task.partial = memory + pool_.num_threads() * plan.scratch_floats + piece.partial;
    kernel(task);
  };
  const auto attend = [&](int64_t i, int thread) {
    run(for_type(target_.ops->attention, kv.type), pieces_[static_cast<size_t>(i)], thread);
  };
  const auto join = [&](int64_t i, int thread) {
    const AttentionPiece& piece = pieces_[static_cast<size_t>(i)];
    if (piece.num_spans > 0) run(target_.ops->attention_join, piece, thread);
  };
  const auto prepare = [&](int thread, int num_threads) {
    const int64_t begin = std::ssize(runs_) * thread / num_threads, end = std::ssize(runs_) * (thread + 1) / num_threads;
    const auto ask_for = [&](int64_t i) {
      if (i >= end || runs_.size() == 1) return;
      const SequenceSpan& sequence = args.sequences[runs_[static_cast<size_t>(i)].sequence];
      if (tokens(sequence) == 1) ask_for_slot(kv, sequence);
    };
    ask_for(begin);
    for (int64_t i = begin; i < end; ++i) {
      ask_for(i + 1);
      prepare_tokens(args, runs_[static_cast<size_t>(i)]);
    }
  };
  FlushDenormals flush;
  const bool alone = pool_.num_threads() == 1 || plan.multiplications < kSmallAttention, prepare_alone = alone || runs_.size() <= 1;
  if (prepare_alone) prepare(0, 1);
  const auto before = [&](int thread, int num_threads) {
    if (prepare_alone) return;
    prepare(thread, num_threads);
    pool_.barrier();
  };
  share_out(pool_, std::ssize(pieces_), alone, before, attend);
  if (plan.split) share_out(pool_, std::ssize(pieces_), plan.partial_floats < kSmallJoin, [](int, int) {}, join);
}

}  // namespace citius::cpu
