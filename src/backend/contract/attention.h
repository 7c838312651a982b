// Keys and values in blocks, and scaled dot-product attention over packed sequences.
#pragma once

#include <cstdint>

#include "tensor/tensor_view.h"

namespace citius {

/// Tokens in one block of keys and values, and in one piece of the attention sum.
inline constexpr int64_t kKvBlock = 64;

/// Type in which keys and values are kept; they are rounded to it before anybody reads them.
enum class KvType : uint8_t { kF32, kBF16 };

/// The keys and values of one layer, in blocks of kKvBlock tokens. Block b of head h starts at element
/// (b · heads + h) · 2 · kKvBlock · D of `data`: first the keys, transposed [D, kKvBlock] so that lanes run along keys,
/// then the values [kKvBlock, D]. Memory that no token was written to may hold anything.
struct KvLayer {
  void* data = nullptr;
  KvType type = KvType::kF32;
  int64_t num_blocks = 0;
  int64_t heads = 0;     // K
  int64_t head_dim = 0;  // D
  size_t block_bytes() const { return static_cast<size_t>(2 * kKvBlock * heads * head_dim) * (type == KvType::kF32 ? 4 : 2); }
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
/// Keys are walked in pieces of kKvBlock, anchored at token 0, ascending: within a piece scores s_j (one fp32 accumulator,
/// fma over ascending d, then · scale), m = max(m_old, max_j s_j), e_j = exp(s_j - m), l = l · exp(m_old - m) + Σ e_j
/// (ascending j in 16 lanes, lanes then summed by a fixed tree), o = o · exp(m_old - m), then o = fma(e_j, v_j, o) for
/// ascending j. out = o / l. Masked or unwritten keys and values never reach the result. The result of a row depends on its
/// query and the visible keys alone.
/// q, out: [T, H, D] fp32, strided along T; out must not overlap q.
struct AttentionArgs {
  TensorView q;
  const SequenceSpan* sequences = nullptr;
  int64_t num_sequences = 0;
  const KvLayer* kv = nullptr;
  float scale = 1;
  bool causal = false;
  int64_t window = 0;
  float softcap = 0;
  const float* bias = nullptr;  // [H, 2R + 1] or null
  int64_t bias_radius = 0;      // R
  TensorView out;
};

}  // namespace citius
