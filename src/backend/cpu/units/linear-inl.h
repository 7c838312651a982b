// The linear kernels of one instruction set: which kernels each weight format uses.
#pragma once

#include "backend/cpu/kernels/amx-inl.h"
#include "backend/cpu/kernels/float-inl.h"
#include "backend/cpu/kernels/integer-inl.h"
#include "backend/cpu/kernels/quantize-inl.h"

namespace citius::cpu::CITIUS_ISA_NAME {

const LinearKernels& linear_kernels();

namespace {

enum FormatIndex : int {
#define CITIUS_FORMAT(enumerator, name, elements, bytes) enumerator,
#include "quant/formats.inc"
#undef CITIUS_FORMAT
};

template <typename F>
consteval FormatKernels group_kernels(const char* name) {
  FormatKernels kernels;
  kernels.name = name;
  kernels.plan.integer = true;
  kernels.plan.group = F::kGroup < 32 ? 32 : F::kGroup;
  kernels.plan.aux_group = F::kGroup;
  kernels.plan.offset = F::kOffset;
  kernels.plan.quad_bytes = GroupSum<F>::kQuadBytes;
  if (F::kOffset != 0) kernels.plan.aux = AuxKind::kOffset;
  if (F::kShift == Shift::kMin) kernels.plan.aux = AuxKind::kScaledSum;
  if (F::kShift == Shift::kZero) kernels.plan.aux = AuxKind::kSum;
  kernels.panel_tiles = GroupTile<F>::kMostVectors;
  kernels.fast = fast_groups<F>;
  kernels.exact = run_exact<F>;
  kernels.decode = decode_integers<F>;
  return kernels;
}

template <typename F>
consteval FormatKernels row_kernels(const char* name) {
  FormatKernels kernels{name, {}, kFastRowsPanel, fast_rows<F>, run_exact<F>, decode_integers<F>};
  kernels.plan = {.integer = true, .aux = AuxKind::kOffset, .offset = F::kOffset, .quad_bytes = GroupSum<F>::kQuadBytes};
  return kernels;
}

// Made by the compiler: the constructor of a table at run time would be an inline function like any other, of which the linker
// keeps one, maybe of an instruction set that this machine lacks.
consteval LinearKernels make_kernels() {
  LinearKernels kernels;
  FormatKernels* f = kernels.formats;
  f[kF32] = {"f32-tile", {}, kFloatVectors, run_float<F32Weights>, run_float<F32Weights>, decode_floats<F32Weights>};
  f[kF16] = {"f16-tile", {}, kFloatVectors, run_float<F16Weights>, run_float<F16Weights>, decode_floats<F16Weights>};
  f[kBF16] = {kHasBf16Dot ? "bf16-dot" : "bf16-fma", {}, kFastBf16Panel, fast_bf16, run_float<Bf16Weights<false>>,
              decode_floats<Bf16Weights<false>>};
  f[kBF16].plan.bf16 = true;
  f[kInt8] = row_kernels<PerRow<128>>("int8-row");
  f[kInt7] = row_kernels<PerRow<64>>("int7-row");
  f[kInt8G32] = f[kQ8_0] = group_kernels<Symmetric<32, 8, 128>>("int8-group32");
  f[kInt8G64] = group_kernels<Symmetric<64, 8, 128>>("int8-group64");
  f[kInt8G128] = group_kernels<Symmetric<128, 8, 128>>("int8-group128");
  f[kInt4G32] = f[kQ4_0] = group_kernels<Symmetric<32, 4, 8>>("int4-group32");
  f[kInt4G64] = group_kernels<Symmetric<64, 4, 8>>("int4-group64");
  f[kInt4G128] = group_kernels<Symmetric<128, 4, 8>>("int4-group128");
  f[kInt4ZG32] = group_kernels<WithZero<32>>("int4z-group32");
  f[kInt4ZG64] = group_kernels<WithZero<64>>("int4z-group64");
  f[kInt4ZG128] = group_kernels<WithZero<128>>("int4z-group128");
  f[kQ4_1] = group_kernels<WithMin<4>>("q4_1");
  f[kQ5_0] = group_kernels<Symmetric<32, 5, 16>>("q5_0");
  f[kQ5_1] = group_kernels<WithMin<5>>("q5_1");
  f[kQ2K] = group_kernels<Q2K>("q2_k");
  f[kQ3K] = group_kernels<SuperSymmetric<3, 16, 4>>("q3_k");
  f[kQ4K] = group_kernels<SuperWithMin<4>>("q4_k");
  f[kQ5K] = group_kernels<SuperWithMin<5>>("q5_k");
  f[kQ6K] = group_kernels<SuperSymmetric<6, 16, 32>>("q6_k");
  f[kIQ4NL] = group_kernels<Iq4Nl>("iq4_nl");
  f[kIQ4XS] = group_kernels<Iq4Xs>("iq4_xs");
  f[kMXFP4] = group_kernels<Mxfp4>("mxfp4");
  kernels.quantize = quantize;
  kernels.round_bf16 = round_bf16;
  kernels.exact_panel_tiles = kFloatVectors;
  return kernels;
}

}  // namespace

const LinearKernels& linear_kernels() {
  static constexpr LinearKernels kKernels = make_kernels();
  return kKernels;
}

}  // namespace citius::cpu::CITIUS_ISA_NAME
