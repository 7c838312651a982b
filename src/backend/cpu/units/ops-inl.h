// The table of everything but products for one instruction set (see cpu/op_kernels.h).
#pragma once

#include "backend/cpu/kernels/attention-inl.h"
#include "backend/cpu/kernels/kv-inl.h"
#include "backend/cpu/kernels/norm-inl.h"
#include "backend/cpu/kernels/pointwise-inl.h"
#include "backend/cpu/op_kernels.h"

namespace citius::cpu::CITIUS_ISA_NAME {

const OpKernels& op_kernels() {
  static constexpr OpKernels kKernels{.norm = norm,
                                      .gated = gated,
                                      .add = add,
                                      .rope = rope,
                                      .multiplies_bf16 = kHasBf16Dot,
                                      .kv_write = {kv_write<float>, kv_write<uint16_t>, kv_write<int8_t>},
                                      .attention = {attention<float>, attention<uint16_t>, attention<int8_t>},
                                      .attention_join = attention_join};
  return kKernels;
}

}  // namespace citius::cpu::CITIUS_ISA_NAME
