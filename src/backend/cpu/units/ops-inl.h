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
                                      .kv_write_f32 = kv_write<float>,
                                      .kv_write_bf16 = kv_write<uint16_t>,
                                      .attention_f32 = attention<float>,
                                      .attention_bf16 = attention<uint16_t>};
  return kKernels;
}

}  // namespace citius::cpu::CITIUS_ISA_NAME
