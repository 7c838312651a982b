// Writing keys and values, and attention: both are cut into pieces (a sequence, a key and value head, some tokens) that
// threads take as they become free. A piece is computed alike whoever takes it.
#include <algorithm>

#include "backend/cpu/cpu_backend.h"
#include "base/check.h"

namespace citius::cpu {
namespace {

// Below this many elements written, or multiplications, one thread is done sooner than another wakes.
constexpr int64_t kSmallWrite = 1 << 14;
constexpr int64_t kSmallAttention = 1 << 16;

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

// As ThreadPool::share_out(); on the caller's thread alone where the work is small.
template <typename Body>
void share_out(ThreadPool& pool, int64_t count, bool small, const Body& body) {
  if (!small) return pool.share_out(count, body);
  FlushDenormals flush;
  for (int64_t i = 0; i < count; ++i) body(i, 0);
}

// The kernel for a type out of a table of all of them.
template <typename Kernel, size_t kCount>
Kernel for_type(Kernel const (&kernels)[kCount], KvType type) {
  static_assert(kCount == kNumKvTypes);
  return kernels[static_cast<size_t>(type)];
}

}  // namespace

void CpuBackend::kv_write(const KvWriteArgs& args) {
  KvLayer& kv = *args.kv;
  const int64_t D = kv.head_dim;
  CHECK(args.k.shape == args.v.shape && args.k.shape.rank() == 3 && args.k.shape[1] == kv.heads && args.k.shape[2] == D);
  check_sequences(args.sequences, args.num_sequences, kv, args.k.rows());
  pieces_.clear();
  for (int64_t s = 0; s < args.num_sequences; ++s) {
    const SequenceSpan& sequence = args.sequences[s];
    for (int64_t t = 0; t < tokens(sequence);) {
      const int64_t slot = (sequence.past + t) % kKvBlock;
      const int64_t count = std::min(kKvBlock - slot, tokens(sequence) - t);
      for (int64_t head = 0; head < kv.heads; ++head) pieces_.push_back({s, head, t, count});
      t += count;
    }
  }
  const auto kernel = for_type(target_.ops->kv_write, kv.type);
  if (trace_.on()) trace_.print("kv_write {} [{}, {}]: {}", kv_type_info(kv.type).name, kv.heads, D, target_.name);
  share_out(pool_, std::ssize(pieces_), args.k.shape.num_elements() < kSmallWrite, [&](int64_t i, int64_t) {
    const Piece& piece = pieces_[static_cast<size_t>(i)];
    const SequenceSpan& sequence = args.sequences[piece.sequence];
    const int64_t position = sequence.past + piece.begin;
    KvWriteTask task;
    task.k = args.k.row(sequence.begin + piece.begin) + piece.head * D;
    task.k_stride = args.k.stride;
    task.v = args.v.row(sequence.begin + piece.begin) + piece.head * D;
    task.v_stride = args.v.stride;
    task.count = piece.count;
    task.slot = position % kKvBlock;
    task.head_dim = D;
    task.part_bytes = kv.part_bytes();
    task.block = static_cast<char*>(kv.data) + (sequence.blocks[position / kKvBlock] * kv.heads + piece.head) * 2 * task.part_bytes;
    kernel(task);
  });
}

// Whole vectors, so that every thread's part is aligned.
int64_t attention_scratch_floats(int64_t group, int64_t head_dim) { return (attention_scratch(group, head_dim) + 15) / 16 * 16; }

void CpuBackend::attention(const AttentionArgs& args) {
  const KvLayer& kv = *args.kv;
  const int64_t H = args.q.shape[1], D = kv.head_dim;
  CHECK(args.q.shape.rank() == 3 && args.q.shape[2] == D && H % kv.heads == 0 && args.out.shape == args.q.shape);
  CHECK(args.scale > 0);
  check_sequences(args.sequences, args.num_sequences, kv, args.q.rows());
  AttentionShape shape;
  shape.kv = kv.data;
  shape.part_bytes = kv.part_bytes();
  shape.kv_heads = kv.heads;
  shape.group = H / kv.heads;
  shape.head_dim = D;
  shape.scale = args.scale;
  shape.causal = args.causal;
  shape.window = args.window;
  shape.softcap = args.softcap;
  shape.bias = args.bias;
  shape.bias_radius = args.bias_radius;

  pieces_.clear();
  int64_t work = 0;
  const int64_t step = attention_queries(shape.group);
  for (int64_t s = 0; s < args.num_sequences; ++s) {
    const int64_t count = tokens(args.sequences[s]);
    work += count * (args.sequences[s].past + count) * H * D * 2;
    // In the order of the rows, so that a thread's share are those that it multiplied and will multiply.
    for (int64_t t = 0; t < count; t += step) {
      for (int64_t head = 0; head < kv.heads; ++head) pieces_.push_back({s, head, t, std::min(step, count - t)});
    }
  }
  const int64_t scratch = attention_scratch_floats(shape.group, D);
  scratch_.reserve(static_cast<size_t>(scratch * pool_.num_threads()) * sizeof(float));
  auto* memory = reinterpret_cast<float*>(scratch_.data());
  const auto kernel = for_type(target_.ops->attention, kv.type);
  if (trace_.on()) trace_.print("attention {} [{}, {}, {}]: {}", kv_type_info(kv.type).name, H, kv.heads, D, target_.name);
  share_out(pool_, std::ssize(pieces_), work < kSmallAttention, [&](int64_t i, int64_t thread) {
    const Piece& piece = pieces_[static_cast<size_t>(i)];
    const SequenceSpan& sequence = args.sequences[piece.sequence];
    AttentionTask task;
    task.shape = &shape;
    task.q = args.q.row(sequence.begin + piece.begin) + piece.head * shape.group * D;
    task.q_stride = args.q.stride;
    task.out = args.out.row(sequence.begin + piece.begin) + piece.head * shape.group * D;
    task.out_stride = args.out.stride;
    task.blocks = sequence.blocks;
    task.kv_head = piece.head;
    task.position = sequence.past + piece.begin;
    task.num_queries = piece.count;
    task.length = sequence.past + tokens(sequence);
    task.scratch = memory + thread * scratch;
    kernel(task);
  });
}

}  // namespace citius::cpu
