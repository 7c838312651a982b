// The probe loops of one instruction set (backend/probe.h), from the same vector layer as the kernels.
#pragma once

#include "backend/cpu/kernels/unrolled-inl.h"
#include "backend/probe.h"

namespace citius::cpu::CITIUS_ISA_NAME {

const ProbeKernels& probe_loops();

namespace {

// Independent chains: enough to hide the latency of a multiply-add (4 cycles, two a cycle), few enough for the registers.
constexpr int kChains = kFloatRows * kFloatVectors >= 16 ? 12 : 5;

inline uint32_t any_bits(I32x16 a) {
  int32_t lanes[16];
  store_i32(lanes, a);
  uint32_t bits = 0;
  for (int i = 0; i < 16; ++i) bits ^= static_cast<uint32_t>(lanes[i]);
  return bits;
}

// kStreams places of the data are read side by side; kAhead bytes before a vector is needed it is asked for (0: never);
// kTemporal false adds the hint that it will not be needed again.
template <int kStreams, int kAhead, bool kTemporal>
uint32_t read_all(const uint8_t* data, int64_t bytes) {
  constexpr int64_t kStep = 256;
  const int64_t part = bytes / kStreams / kStep * kStep;
  I32x16 sums[4] = {zero_i32(), zero_i32(), zero_i32(), zero_i32()};
  for (int64_t at = 0; at < part; at += kStep) {
    for (int stream = 0; stream < kStreams; ++stream) {
      const uint8_t* p = data + stream * part + at;
      for (int i = 0; i < 4; ++i) {
        if constexpr (kAhead > 0) __builtin_prefetch(p + kAhead + i * 64, /*rw=*/0, /*locality=*/kTemporal ? 3 : 0);
        sums[i] = sums[i] ^ load_i32(reinterpret_cast<const int32_t*>(p + i * 64));
      }
    }
  }
  return any_bits((sums[0] ^ sums[1]) ^ (sums[2] ^ sums[3]));
}

inline float fp32_steps(int64_t steps) {
  F32x16 acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = set_f32(static_cast<float>(i));
  const F32x16 a = set_f32(0.999f), b = set_f32(0.001f);
  for (int64_t step = 0; step < steps; ++step) {
    for (int i = 0; i < kChains; ++i) acc[i] = kHasFma ? fma(acc[i], a, b) : acc[i] * a + b;
  }
  for (int i = 1; i < kChains; ++i) acc[0] = acc[0] + acc[i];
  return sum_lanes(acc[0]);
}

inline float bf16_steps(int64_t steps) {
  F32x16 acc[kChains];
  for (int i = 0; i < kChains; ++i) acc[i] = set_f32(static_cast<float>(i));
  const I32x16 pair = set_i32(0x3c003c00);
  for (int64_t step = 0; step < steps; ++step) {
    for (int i = 0; i < kChains; ++i) acc[i] = dot_bf16(acc[i], pair, pair);
  }
  for (int i = 1; i < kChains; ++i) acc[0] = acc[0] + acc[i];
  return sum_lanes(acc[0]);
}

inline float int8_steps(int64_t steps) {
  I16x32 acc[kChains];
  I32x16 x[kChains];
  for (int i = 0; i < kChains; ++i) {
    acc[i] = zero_i16();
    x[i] = set_i32(0x01020301 + i);
  }
  const U8x64 w = set_u8(3);
  for (int64_t step = 0; step < steps; ++step) {
    // Compilers know integer arithmetic: what does not change is multiplied once and then only added.
    asm volatile("" : "+m"(x));
    for (int i = 0; i < kChains; ++i) acc[i] = dot_narrow(acc[i], w, x[i]);
  }
  I32x16 sum = zero_i32();
  for (int i = 0; i < kChains; ++i) sum = widen_add(sum, acc[i]);
  return static_cast<float>(any_bits(sum));
}

#if defined(__AMX_INT8__)

/// Products of whole tile registers, which hold zeros, in four sums that do not depend on each other.
template <typename Dot>
inline float amx_steps(int64_t steps, const Dot& dot) {
  amx_shape(16, 64);
  unrolled<0, 8>([](auto i) { amx_zero<i>(); });
  for (int64_t step = 0; step < steps; step += 4) unrolled<0, 4>(dot);
  return 0;
}
inline float amx_bf16_steps(int64_t steps) {
  return amx_steps(steps, [](auto i) { amx_dot_bf16<i, 4 + i % 2, 6 + i / 2>(); });
}
inline float amx_int8_steps(int64_t steps) {
  return amx_steps(steps, [](auto i) { amx_dot_s8u8<i, 4 + i % 2, 6 + i / 2>(); });
}
constexpr PeakProbe kBf16Probe = {"bf16", 2 * 16 * 16 * 32, amx_bf16_steps}, kInt8Probe = {"int8", 2 * 16 * 16 * 64, amx_int8_steps};

#else

constexpr PeakProbe kBf16Probe = {"bf16", 2 * 32 * kChains, kHasBf16Dot ? bf16_steps : nullptr};
constexpr PeakProbe kInt8Probe = {"int8", 2 * 64 * kChains, int8_steps};

#endif

constexpr ProbeKernels kProbes = {
    {{"plain", read_all<1, 0, true>},
     {"2 streams, prefetch", read_all<2, 4096, true>},
     {"4 streams", read_all<4, 0, true>},
     {"4 streams, prefetch", read_all<4, 4096, true>},
     {"2 streams, non-temporal", read_all<2, 4096, false>}},
    {"fp32", 2 * 16 * kChains, fp32_steps},
    kBf16Probe,
    kInt8Probe,
};

}  // namespace

const ProbeKernels& probe_loops() { return kProbes; }

}  // namespace citius::cpu::CITIUS_ISA_NAME
