// Keys, values and attention of the reference backend: scores, softmax and the weighted sum in double, one query at a time.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "backend/ref/ref_backend.h"
#include "base/check.h"
#include "tensor/float_types.h"

namespace citius::ref {
namespace {

// Where one key or value is.
struct Place {
  void* part;
  int64_t slot;
  bool value;
};
Place place(const KvLayer& kv, const SequenceSpan& sequence, int64_t j, int64_t head, bool value) {
  const int64_t block = sequence.blocks[j / kKvBlock];
  CHECK(block >= 0 && block < kv.num_blocks);
  return {static_cast<char*>(kv.data) + ((block * kv.heads + head) * 2 + (value ? 1 : 0)) * kv.part_bytes(), j % kKvBlock, value};
}

// Of number d among the numbers of a part.
int64_t index_of(const KvLayer& kv, const Place& at, int64_t d) {
  if (kv.type == KvType::kBF16) {
    return at.value ? (at.slot / 2 * kv.head_dim + d) * 2 + at.slot % 2 : (d / 2 * kKvBlock + at.slot) * 2 + d % 2;
  }
  return at.value ? at.slot * kv.head_dim + d : d * kKvBlock + at.slot;
}

float& scale_of(const KvLayer& kv, const Place& at) {
  void* behind = static_cast<int8_t*>(at.part) + kKvBlock * kv.head_dim;
  return static_cast<float*>(behind)[at.slot];
}

double load(const KvLayer& kv, const Place& at, int64_t d) {
  const int64_t index = index_of(kv, at, d);
  switch (kv.type) {
    case KvType::kF32: return static_cast<const float*>(at.part)[index];
    case KvType::kBF16: return bf16_to_f32(static_cast<const uint16_t*>(at.part)[index]);
    case KvType::kInt8: return static_cast<double>(scale_of(kv, at)) * static_cast<const int8_t*>(at.part)[index];
  }
  CHECK(false);
}

void store(KvLayer& kv, const Place& at, const float* x) {
  if (kv.type == KvType::kBF16 && !at.value && kv.head_dim % 2 == 1) {
    static_cast<uint16_t*>(at.part)[index_of(kv, at, kv.head_dim)] = 0;
  }
  float inverse = 0;
  if (kv.type == KvType::kInt8) {
    float most = 0;
    for (int64_t d = 0; d < kv.head_dim && !std::isnan(most); ++d) {
      if (!(std::fabs(x[d]) <= most)) most = std::fabs(x[d]);
    }
    scale_of(kv, at) = most / 127.0f;
    inverse = std::min(127.0f / most, std::numeric_limits<float>::max());
  }
  for (int64_t d = 0; d < kv.head_dim; ++d) {
    const int64_t index = index_of(kv, at, d);
    switch (kv.type) {
      case KvType::kF32: static_cast<float*>(at.part)[index] = x[d]; break;
      case KvType::kBF16: static_cast<uint16_t*>(at.part)[index] = f32_to_bf16(x[d]); break;
      case KvType::kInt8: {
        const float code = x[d] * inverse;
        static_cast<int8_t*>(at.part)[index] = static_cast<int8_t>(std::isnan(code) ? 0.0f : std::nearbyint(code));
      }
    }
  }
}

// Keys [begin, end) that the query at `position` of a sequence of `length` tokens sees.
struct Visible {
  int64_t begin, end;
};
Visible visible(const AttentionArgs& args, int64_t position, int64_t length) {
  const int64_t window = args.window;
  if (args.causal) return {window > 0 ? std::max<int64_t>(0, position - window + 1) : 0, position + 1};
  if (window > 0) return {std::max<int64_t>(0, position - window), std::min(length, position + window + 1)};
  return {0, length};
}

double score(const AttentionArgs& args, const SequenceSpan& sequence, const float* q, int64_t h, int64_t position, int64_t j) {
  const KvLayer& kv = *args.kv;
  const int64_t head = h * kv.heads / args.q.shape[1];
  const Place key = place(kv, sequence, j, head, /*value=*/false);
  double sum = 0;
  for (int64_t d = 0; d < kv.head_dim; ++d) sum += static_cast<double>(q[d]) * load(kv, key, d);
  sum *= static_cast<double>(args.scale);
  if (args.softcap > 0) sum = args.softcap * std::tanh(sum / static_cast<double>(args.softcap));
  if (args.bias != nullptr) {
    const int64_t R = args.bias_radius;
    sum += args.bias[h * (2 * R + 1) + std::clamp(j - position, -R, R) + R];
  }
  return sum;
}

void attend(const AttentionArgs& args, const SequenceSpan& sequence, int64_t t, int64_t h) {
  const KvLayer& kv = *args.kv;
  const int64_t D = kv.head_dim, head = h * kv.heads / args.q.shape[1];
  const int64_t position = sequence.past + t - sequence.begin;
  const Visible keys = visible(args, position, sequence.past + sequence.end - sequence.begin);
  const float* q = args.q.row(t) + h * D;
  std::vector<double> weights(static_cast<size_t>(keys.end - keys.begin));
  double largest = -std::numeric_limits<double>::infinity();
  for (int64_t j = keys.begin; j < keys.end; ++j) {
    double& s = weights[static_cast<size_t>(j - keys.begin)];
    s = score(args, sequence, q, h, position, j);
    largest = std::max(largest, s);
  }
  double total = 0;
  for (double& weight : weights) {
    weight = std::exp(weight - largest);
    total += weight;
  }
  std::vector<double> sums(static_cast<size_t>(D), 0.0);
  for (int64_t j = keys.begin; j < keys.end; ++j) {
    const Place value = place(kv, sequence, j, head, /*value=*/true);
    const double weight = weights[static_cast<size_t>(j - keys.begin)];
    for (int64_t d = 0; d < D; ++d) sums[static_cast<size_t>(d)] += weight * load(kv, value, d);
  }
  float* out = args.out.row(t) + h * D;
  for (int64_t d = 0; d < D; ++d) out[d] = static_cast<float>(sums[static_cast<size_t>(d)] / total);
}

// The sequence that owns each row of the batch, or null for rows of none.
std::vector<const SequenceSpan*> owners(const SequenceSpan* sequences, int64_t count, int64_t rows) {
  std::vector<const SequenceSpan*> owner(static_cast<size_t>(rows), nullptr);
  for (int64_t s = 0; s < count; ++s) {
    CHECK(sequences[s].begin >= 0 && sequences[s].begin <= sequences[s].end && sequences[s].end <= rows);
    std::fill(owner.begin() + sequences[s].begin, owner.begin() + sequences[s].end, &sequences[s]);
  }
  return owner;
}

}  // namespace

void RefBackend::kv_write(const KvWriteArgs& args) {
  trace("kv_write");
  KvLayer& kv = *args.kv;
  const auto owner = owners(args.sequences, args.num_sequences, args.k.rows());
  threads_.parallel_for(args.k.rows(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const SequenceSpan* sequence = owner[static_cast<size_t>(t)];
      if (sequence == nullptr) continue;
      const int64_t position = sequence->past + t - sequence->begin;
      for (int64_t head = 0; head < kv.heads; ++head) {
        store(kv, place(kv, *sequence, position, head, /*value=*/false), args.k.row(t) + head * kv.head_dim);
        store(kv, place(kv, *sequence, position, head, /*value=*/true), args.v.row(t) + head * kv.head_dim);
      }
    }
  });
}

void RefBackend::attention(const AttentionArgs& args) {
  trace("attention");
  if (args.rope) rope({args.q, *args.rope});
  if (args.rope && args.k) rope({args.k, *args.rope});
  if (args.k) kv_write({args.k, args.v, args.sequences, args.num_sequences, args.kv});
  const int64_t H = args.q.shape[1];
  const auto owner = owners(args.sequences, args.num_sequences, args.q.rows());
  threads_.parallel_for(args.q.rows() * H, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (const SequenceSpan* sequence = owner[static_cast<size_t>(i / H)]) attend(args, *sequence, i / H, i % H);
    }
  });
}

}  // namespace citius::ref
