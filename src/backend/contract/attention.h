// Keys and values in blocks, and scaled dot-product attention over packed sequences.
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

#include "backend/contract/rope.h"
#include "tensor/tensor_view.h"

namespace citius {

/// Tokens in one block of keys and values, and in one piece of the attention sum.
inline constexpr int64_t kKvBlock = 64;
/// Tokens whose keys and values are summed by themselves, so that threads can share a long context.
inline constexpr int64_t kKvSpan = 512;

/// Type in which keys and values are kept; they are rounded to it before anybody reads them.
///
/// kInt8 keeps a vector (the key, or the value, of one token and head) as codes in [-127, 127] and one fp32 scale. With m the
/// largest |x_d|, all in fp32: scale = m / 127, code_d = x_d · min(127 / m, the largest finite number) rounded to nearest even,
/// 0 where that is NaN; x_d reads as code_d · scale. With NaN or infinity among the x_d all of them read as NaN.
enum class KvType : uint8_t { kF32, kBF16, kInt8 };

struct KvTypeInfo {
  std::string_view name;
  int64_t value_bytes;  // of one number of a key or value
  int64_t scale_bytes;  // of what all numbers of a key or value share
};
/// By KvType.
inline constexpr KvTypeInfo kKvTypes[] = {{"f32", 4, 0}, {"bf16", 2, 0}, {"int8", 1, 4}};
inline constexpr int64_t kNumKvTypes = std::size(kKvTypes);
constexpr const KvTypeInfo& kv_type_info(KvType type) { return kKvTypes[static_cast<size_t>(type)]; }
/// Bytes of the key, or of the value, of one token and head.
constexpr int64_t kv_vector_bytes(KvType type, int64_t head_dim) {
  const int64_t numbers = type == KvType::kBF16 ? head_dim + head_dim % 2 : head_dim;  // whole pairs
  return numbers * kv_type_info(type).value_bytes + kv_type_info(type).scale_bytes;
}

/// The keys and values of one layer, in blocks of kKvBlock tokens. A block is 2 · heads parts: of every head the keys,
/// transposed [D, kKvBlock] so that lanes run along keys, then the values [kKvBlock, D]. bf16 keeps pairs side by side, of dimensions
/// in keys [ceil(D / 2), kKvBlock, 2] (a dimension that D lacks is 0), of tokens in values [kKvBlock / 2, D, 2]: what is summed over lies
/// together, as the products of bf16 pairs want it. Behind the numbers of a part stand the scales of its kKvBlock tokens where the type has
/// some. Memory that no token was written to may hold anything.
struct KvLayer {
  void* data = nullptr;
  KvType type = KvType::kF32;
  int64_t num_blocks = 0;
  int64_t heads = 0;     // K
  int64_t head_dim = 0;  // D
  int64_t part_bytes() const { return kKvBlock * kv_vector_bytes(type, head_dim); }
  size_t block_bytes() const { return static_cast<size_t>(2 * heads * part_bytes()); }
};

/// One sequence of a packed batch: rows [begin, end) of the batch are its tokens [past, past + end - begin).
struct SequenceSpan {
  int32_t begin = 0;
  int32_t end = 0;
  int32_t past = 0;
  const int32_t* blocks = nullptr;  // block table: block of token i is blocks[i / kKvBlock]
};

/// Writes keys and values of new tokens to their blocks. k, v: [T, K, D] fp32, strided along T.
struct KvWriteArgs {
  TensorView k;
  TensorView v;
  const SequenceSpan* sequences = nullptr;
  int64_t num_sequences = 0;
  KvLayer* kv = nullptr;
};

/// out[t, h] = Σ_j softmax_j(score(t, j)) · v[j, g(h)],  g(h) = h · K / H,
/// score(t, j) = softcap(scale · q[t, h] · k[j, g(h)]) + bias[h, clamp(j - p, ±R)], p = position of token t in its
/// sequence, softcap(s) = cap · tanh(s / cap) where cap > 0.
/// Keys: all of the sequence; causal: j ≤ p. A window w > 0 keeps p - j < w where causal (Mistral) and |p - j| ≤ w
/// where not (ModernBERT).
///
/// First, where `rope` is given, the rows of q and k that belong to a sequence are rotated in place; then, where they are, k and v [T, K,
/// D] are written to their blocks. Both have the bits of the ops rope and kv_write.
///
/// Keys are walked in spans of kKvSpan and those in pieces of kKvBlock, anchored at token 0, ascending: within a piece scores s_j (one fp32
/// accumulator, fma over ascending d, then · scale), m = max(m_old, max_j s_j), e_j = exp(s_j - m), l = l · exp(m_old - m) + Σ e_j
/// (ascending j in 16 lanes, lanes then summed by a fixed tree), o = o · exp(m_old - m), then o = fma(e_j, v_j, o) for ascending j. A span
/// begins with m = the lowest finite number, l = 0, o = 0; the first with visible keys is the total, each further one is joined to it: m' =
/// max(m, m_span), l' = fma(l_span, exp(m_span - m'), l · exp(m - m')), o' alike. out = o / l. Of int8 the accumulator of s_j sums over
/// codes and is multiplied by the key's scale before · scale; e_j is multiplied by the value's scale where it meets codes, not in l. With
/// keys and values in bf16, an instruction set that multiplies pairs of bf16 rounds q and, where it meets v, e_j to bf16 too; its sums run
/// over pairs (d, d + 1) of dimensions and (j, j + 1), j even, of keys, the second of a pair first, or, with AMX's registers and D a
/// multiple of 32, over 32 dimensions and 32 keys at a time as those of linear.h. Masked or unwritten keys and values
/// never reach the result. The result of a row depends on its query and the visible keys alone. q, out: [T, H, D] fp32, strided along T;
/// out must not overlap q.
struct AttentionArgs {
  TensorView q;
  TensorView k, v;  // [T, K, D] fp32, strided along T; both empty where nothing is to be written (models always write)
  std::optional<Rotation> rope;
  const SequenceSpan* sequences = nullptr;
  int64_t num_sequences = 0;
  KvLayer* kv = nullptr;
  float scale = 1;  // more than 0
  bool causal = false;
  int64_t window = 0;           // 0: none
  float softcap = 0;            // 0: none
  const float* bias = nullptr;  // [H, 2R + 1] or null
  int64_t bias_radius = 0;      // R
  TensorView out;
};

}  // namespace citius
