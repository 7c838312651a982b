// Activations to int8, as each weight format wants them: the same bits as one number after the other.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "backend/cpu/op_tasks.h"
#include "backend/cpu/target.h"
#include "quant/format.h"

namespace citius::cpu {
namespace {

struct Quantized {
  std::vector<int8_t> codes;  // [rows, code_stride]
  std::vector<float> scales;
  std::vector<int32_t> aux;  // bits
};

// Rows stand apart; what is not written stays 85.
Quantized blank(QuantizeTask& t) {
  t.code_stride += 7;
  t.scale_stride += 2;
  t.aux_stride += 1;
  return {std::vector<int8_t>(static_cast<size_t>(t.rows * t.code_stride), 85),
          std::vector<float>(static_cast<size_t>(t.rows * t.scale_stride), 85),
          std::vector<int32_t>(static_cast<size_t>(t.rows * t.aux_stride), 85)};
}

// Code k of a row: bytes, or 16 bits of which quads hold 0, 2, 1, 3.
void store_code(int8_t* row, int64_t quad_bytes, int64_t k, int16_t code) {
  constexpr int64_t kPlace[] = {0, 2, 1, 3};
  if (quad_bytes == 4) {
    row[k] = static_cast<int8_t>(code);
  } else {
    std::memcpy(row + k / 4 * quad_bytes + 2 * kPlace[k % 4], &code, 2);
  }
}

Quantized one_by_one(QuantizeTask t) {
  Quantized out = blank(t);
  const int64_t group = t.group == 0 ? t.cols : t.group, part = t.aux_group == 0 ? group : t.aux_group;
  for (int64_t row = 0; row < t.rows; ++row) {
    const float* x = t.x + row * t.x_stride;
    int8_t* codes = out.codes.data() + row * t.code_stride;
    for (int64_t k = 0; k < t.code_stride - 7; ++k) codes[k] = 0;
    for (int64_t begin = 0; begin < t.cols; begin += part) {
      float most = 0;
      for (int64_t k = begin / group * group; k < begin / group * group + group; ++k) most = std::max(most, std::fabs(x[k]));
      const float scale = most / 127.0f, inverse = most > 0 ? 127.0f / most : 0;
      out.scales[static_cast<size_t>(row * t.scale_stride + begin / group)] = scale;
      int32_t sum = 0;
      for (int64_t k = begin; k < begin + part; ++k) {
        const auto code = static_cast<int16_t>(std::nearbyint(x[k] * inverse));
        store_code(codes, t.quad_bytes, k, code);
        sum += code;
      }
      int32_t& aux = out.aux[static_cast<size_t>(row * t.aux_stride + begin / part)];
      const auto as_float = static_cast<float>(sum);
      switch (t.aux) {
        case AuxKind::kNone: break;
        case AuxKind::kOffset: aux = -t.offset * sum; break;
        case AuxKind::kSum: aux = std::bit_cast<int32_t>(as_float); break;
        case AuxKind::kScaledSum: aux = std::bit_cast<int32_t>(as_float * scale); break;
      }
    }
  }
  return out;
}

TEST(Quantize, GivesTheBitsOfOneNumberAfterTheOther) {
  constexpr int64_t kRows = 3, kGap = 5;
  for (const Target& target : available_targets()) {
    for (const Format format : all_formats()) {
      const ActivationPlan& plan = target.linear->formats[static_cast<size_t>(format)].plan;
      if (!plan.integer) continue;
      for (const int64_t cols : {1, 16, 33, 128, 256, 384, 576, 640, 1280, 2304}) {
        if (plan.group != 0 && cols % plan.group != 0) continue;
        std::vector<float> x(static_cast<size_t>(kRows * (cols + kGap)), std::numeric_limits<float>::quiet_NaN());
        std::mt19937 random(static_cast<uint32_t>(cols));
        std::normal_distribution<float> normal;
        for (int64_t i = 0; i < kRows * cols; ++i) x[static_cast<size_t>(i / cols * (cols + kGap) + i % cols)] = normal(random);
        for (int64_t k = cols / 2; k < cols; ++k) x[static_cast<size_t>(cols + kGap + k)] = k % 40 == 0 ? -1.0f : 0.0f;
        const TensorView rows = TensorView(x.data(), DType::kF32, {kRows, cols + kGap}).slice_columns(0, cols);
        QuantizeTask task = quantize_task(rows, plan);
        const Quantized want = one_by_one(task);
        Quantized got = blank(task);
        task.codes = got.codes.data();
        task.scales = got.scales.data();
        task.aux_out = got.aux.data();
        target.linear->quantize(task);
        const std::string what = fmt::format("{} {} cols {}", target.name, format_name(format), cols);
        EXPECT_EQ(got.codes, want.codes) << what;
        EXPECT_EQ(got.scales, want.scales) << what;
        EXPECT_EQ(got.aux, want.aux) << what;
      }
    }
  }
}

TEST(Quantize, WhatIsNoNumberReachesTheScaleOfItsGroupAlone) {
  for (const Target& target : available_targets()) {
    constexpr int64_t kCols = 640, kGroup = 32;
    for (const int64_t at : {0, 100, 639}) {
      std::vector<float> x(kCols, 1.0f), scales(kCols / kGroup), aux(kCols / kGroup);
      std::vector<int8_t> codes(kCols);
      x[static_cast<size_t>(at)] = std::numeric_limits<float>::quiet_NaN();
      target.linear->quantize({.x = x.data(),
                               .rows = 1,
                               .cols = kCols,
                               .group = kGroup,
                               .aux_group = kGroup,
                               .aux = AuxKind::kSum,
                               .codes = codes.data(),
                               .scales = scales.data(),
                               .aux_out = aux.data()});
      for (int64_t g = 0; g < kCols / kGroup; ++g) {
        EXPECT_EQ(std::isnan(scales[static_cast<size_t>(g)]), g == at / kGroup) << target.name << " " << at;
        if (g != at / kGroup) EXPECT_EQ(aux[static_cast<size_t>(g)], 32 * 127) << target.name << " " << at;
      }
    }
  }
}

}  // namespace
}  // namespace citius::cpu
