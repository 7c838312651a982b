// What the kernels of one instruction set offer for everything but products, as plain data: no standard library, because the
// units that fill the table are compiled for machines that this program may not run on. A task is the part of one op that one
// thread does; what the ops mean is in backend/contract/. Strides count elements.
#pragma once

#include <stdint.h>

namespace citius::cpu {

/// Rows [begin, end), each `heads` vectors of `channels`, normalised one by one.
struct NormTask {
  const float* x = nullptr;
  int64_t x_stride = 0;
  float* y = nullptr;
  int64_t y_stride = 0;
  const float* weight = nullptr;  // or null
  const float* bias = nullptr;    // or null
  float epsilon = 0;
  bool center = false;  // LayerNorm, not RMSNorm
  int64_t heads = 1;
  int64_t channels = 0;
  int64_t begin = 0, end = 0;
};

/// Rows [begin, end) of `channels`: y = act(a) · b for gated products, or a + b.
struct PointwiseTask {
  const float* a = nullptr;
  int64_t a_stride = 0;
  const float* b = nullptr;
  int64_t b_stride = 0;
  float* y = nullptr;
  int64_t y_stride = 0;
  int activation = 0;  // ActivationKind
  int64_t channels = 0;
  int64_t begin = 0, end = 0;
};

/// Rows [begin, end) of x [T, heads, head_dim].
struct RopeTask {
  float* x = nullptr;
  int64_t x_stride = 0;
  const int32_t* positions = nullptr;
  const float* cos = nullptr;
  const float* sin = nullptr;
  int64_t rotary = 0;
  bool interleaved = false;
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t begin = 0, end = 0;
};

/// One head of `count` tokens that go to the slots [slot, slot + count) of one block.
struct KvWriteTask {
  const float* k = nullptr;  // first token, this head
  int64_t k_stride = 0;
  const float* v = nullptr;
  int64_t v_stride = 0;
  int64_t count = 0;
  int64_t slot = 0;
  int64_t head_dim = 0;
  void* block = nullptr;  // keys and values of this head and block: two parts (KvLayer)
  int64_t part_bytes = 0;
};

/// What is the same in all of one attention op.
struct AttentionShape {
  void* kv = nullptr;
  int64_t part_bytes = 0;  // keys, or values, of one head and block (KvLayer)
  int64_t kv_heads = 0;
  int64_t group = 0;  // query heads that share a key and value head
  int64_t head_dim = 0;
  float scale = 1;
  bool causal = false;
  int64_t window = 0;
  float softcap = 0;
  const float* bias = nullptr;  // [heads, 2 bias_radius + 1] or null
  int64_t bias_radius = 0;
};

/// Queries [position, position + num_queries) of one sequence, all heads of one group.
struct AttentionTask {
  const AttentionShape* shape = nullptr;
  const float* q = nullptr;  // first query, first head of the group
  int64_t q_stride = 0;
  float* out = nullptr;
  int64_t out_stride = 0;
  const int32_t* blocks = nullptr;
  int64_t kv_head = 0;
  int64_t position = 0;
  int64_t num_queries = 0;
  int64_t length = 0;        // tokens of the sequence, these included
  int64_t span = -1;         // the one span (kSpanBlocks blocks) that is summed, or all
  int64_t num_spans = 0;     // of attention_join()
  float* partial = nullptr;  // of one span: what it sums to; of attention_join(): that of all spans, attention_partial() floats each
  float* scratch = nullptr;  // attention_scratch() floats, aligned to 64 bytes
};

/// Queries times heads of a group in one task: enough to use a block of keys and values often while it is in the
/// first-level cache, few enough that their sums stay in the second.
inline constexpr int64_t kAttentionRows = 64;
/// Tokens in a block of keys and values (kKvBlock), and blocks in a span (kKvSpan).
inline constexpr int64_t kKeys = 64;
inline constexpr int64_t kSpanBlocks = 8;
/// Queries of one task for this group. (These are static: the linker must not choose between their copies.)
static inline int64_t attention_queries(int64_t group) { return group >= kAttentionRows ? 1 : kAttentionRows / group; }
/// Rows of a task and at least 16 more, because maxima and totals are read 16 at a time, and queries in whole tiles.
static inline int64_t attention_padded_rows(int64_t group) { return (attention_queries(group) * group + 31) / 16 * 16; }
static inline int64_t attention_padded_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }
/// Floats of scratch of one task: of every row its queries and position, and twice (for all spans so far and for one) sums, maximum and
/// total; scores of a tile and biases of a row.
static inline int64_t attention_scratch(int64_t group, int64_t head_dim) {
  return attention_padded_rows(group) * (3 * attention_padded_dim(head_dim) + 5) + 17 * kKeys;
}
/// Floats of what one span sums to for `rows` rows: of each its sums, then 16 of which two are maximum and total.
static inline int64_t attention_partial(int64_t rows, int64_t head_dim) { return rows * (attention_padded_dim(head_dim) + 16); }

struct OpKernels {
  void (*norm)(const NormTask&) = nullptr;
  void (*gated)(const PointwiseTask&) = nullptr;
  void (*add)(const PointwiseTask&) = nullptr;
  void (*rope)(const RopeTask&) = nullptr;
  bool multiplies_bf16 = false;  // pairs of bf16, by an instruction
  // By KvType.
  void (*kv_write[3])(const KvWriteTask&) = {};
  void (*attention[3])(const AttentionTask&) = {};
  void (*attention_join)(const AttentionTask&) = nullptr;
};

}  // namespace citius::cpu
