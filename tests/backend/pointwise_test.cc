// Gated products, sums and rotary embedding of every instruction set against the scalar reference.
#include <algorithm>

#include "backend/op_test_util.h"

namespace citius {
namespace {

class PointwiseTest : public IsaTest {};
CITIUS_FOR_EACH_ISA(PointwiseTest);

constexpr ActivationKind kKinds[] = {ActivationKind::kNone,      ActivationKind::kRelu, ActivationKind::kGelu, ActivationKind::kGeluTanh,
                                     ActivationKind::kQuickGelu, ActivationKind::kSilu, ActivationKind::kTanh, ActivationKind::kSigmoid};

// Values from -100 to 100, dense around 0, with zeros, tiny and huge ones.
TestTensor activation_inputs(int64_t rows, int64_t channels, int64_t gap) {
  TestTensor x = TestTensor::random({rows, channels}, 7, 3, gap);
  const float special[] = {0, -0.0f, 1e-30f, -1e-30f, 1e-4f, -1e-4f, 20, -20, 88, -88, 100, -100, 1e30f, -1e30f, 0.625f, 0.9f};
  for (int64_t i = 0; i < channels; ++i) {
    x.at(0, i) = special[i % std::ssize(special)] * (i >= 16 ? 0.999f : 1.0f);
    if (rows > 1) x.at(1, i) = static_cast<float>(i - channels / 2) * 0.01f;
  }
  return x;
}

// The activation alone is a gated product by one.
TestTensor ones(int64_t rows, int64_t channels) {
  TestTensor result({rows, channels});
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t i = 0; i < channels; ++i) result.at(t, i) = 1;
  }
  return result;
}

TEST_P(PointwiseTest, ActivationsMatchReference) {
  const auto backend = cpu();
  for (const ActivationKind kind : kKinds) {
    for (const int64_t channels : {1, 15, 16, 17, 33, 2048}) {
      TestTensor x = activation_inputs(5, channels, 3), up = ones(5, channels), want({5, channels}), got({5, channels}, 1);
      reference().gated({x.view(), up.view(), kind, want.view()});
      backend->gated({x.view(), up.view(), kind, got.view()});
      // Each function takes some ten operations; x · P(x) cancels where P is near 0, and an error of the exponent's argument
      // counts in proportion to x, up to where the result vanishes.
      EXPECT_TRUE(within(
          got, want,
          [&](int64_t t, int64_t i) {
            const double size = std::fabs(static_cast<double>(x.at(t, i)));
            return rounding() * kUnit * (8 * std::fabs(want.at(t, i)) * (1 + std::min(size, 40.0) / 8) + 4 * std::min(size, 40.0)) + 1e-37;
          }))
          << "kind " << static_cast<int>(kind) << ", channels " << channels;
      got.check_gaps();
    }
  }
}

TEST_P(PointwiseTest, NanStaysNan) {
  const auto backend = cpu();
  for (const ActivationKind kind : kKinds) {
    TestTensor x = TestTensor::random({1, 20}, 1), up = ones(1, 20), y({1, 20});
    x.at(0, 3) = x.at(0, 19) = std::numeric_limits<float>::quiet_NaN();
    backend->gated({x.view(), up.view(), kind, y.view()});
    for (int64_t i = 0; i < 20; ++i) EXPECT_EQ(std::isnan(y.at(0, i)), i == 3 || i == 19) << static_cast<int>(kind);
  }
}

TEST_P(PointwiseTest, GatedAndAddMatchReference) {
  const auto backend = cpu();
  for (const int64_t channels : {1, 31, 64, 1000}) {
    for (const ActivationKind kind : {ActivationKind::kSilu, ActivationKind::kGelu, ActivationKind::kGeluTanh}) {
      TestTensor gate = TestTensor::random({7, channels}, 1, 2, 5), up = TestTensor::random({7, channels}, 2, 2, 9);
      TestTensor want({7, channels}), got({7, channels}, 2);
      reference().gated({gate.view(), up.view(), kind, want.view()});
      backend->gated({gate.view(), up.view(), kind, got.view()});
      EXPECT_TRUE(within(got, want, [&](int64_t t, int64_t i) {
        const double g = std::fabs(gate.at(t, i)), u = std::fabs(up.at(t, i));
        return rounding() * kUnit * (12 * g * u);
      }));
      got.check_gaps();
      TestTensor gate_copy = gate;
      backend->gated({gate_copy.view(), up.view(), kind, gate_copy.view()});
      EXPECT_TRUE(same_bits(gate_copy, got));
      TestTensor up_copy = up;
      backend->gated({gate.view(), up_copy.view(), kind, up_copy.view()});
      EXPECT_TRUE(same_bits(up_copy, got));
    }
    TestTensor a = TestTensor::random({7, channels}, 3, 1, 1), b = TestTensor::random({7, channels}, 4);
    TestTensor want({7, channels}), got({7, channels});
    reference().add({a.view(), b.view(), want.view()});
    backend->add({a.view(), b.view(), got.view()});
    EXPECT_TRUE(same_bits(got, want));
    backend->add({a.view(), b.view(), a.view()});
    EXPECT_TRUE(same_bits(a, want));
  }
}

TEST_P(PointwiseTest, RopeMatchesReference) {
  const auto backend = cpu();
  for (const auto& [D, rotary] : {std::pair{2, 2}, {8, 8}, {64, 64}, {80, 32}, {40, 34}, {128, 128}}) {
    for (const bool interleaved : {false, true}) {
      const int64_t H = 3, T = 9;
      const std::vector<int32_t> positions = {4, 0, 1, 2, 3, 11, 5, 5, 10};
      TestTensor cosines({12, rotary / 2}), sines({12, rotary / 2});
      for (int64_t p = 0; p < 12; ++p) {
        for (int64_t i = 0; i < rotary / 2; ++i) {
          const double angle = static_cast<double>(p) * std::pow(10000.0, -2.0 * static_cast<double>(i) / rotary);
          cosines.at(p, i) = static_cast<float>(std::cos(angle));
          sines.at(p, i) = static_cast<float>(std::sin(angle));
        }
      }
      TestTensor x = TestTensor::random({T, H, D}, 5, 1, 7);
      TestTensor want = x, got = x;
      RopeArgs args{want.view(), {positions.data(), &cosines.at(0, 0), &sines.at(0, 0), rotary, interleaved}};
      reference().rope(args);
      args.x = got.view();
      backend->rope(args);
      // Two products and a sum of magnitudes that rotation keeps below the pair's norm.
      EXPECT_TRUE(within(got, want, [&](int64_t, int64_t) { return rounding() * kUnit * 3 * 5; })) << D << " " << rotary;
      got.check_gaps();
      for (int64_t t = 0; t < T; ++t) {
        for (int64_t h = 0; h < H; ++h) {
          for (int64_t i = rotary; i < D; ++i) EXPECT_EQ(got.at(t, h * D + i), x.at(t, h * D + i));
        }
      }
      TestTensor alone = x;
      for (int64_t t = 0; t < T; ++t) {
        args.x = alone.view().slice_rows(t, t + 1);
        args.rotation.positions = positions.data() + t;
        backend->rope(args);
      }
      EXPECT_TRUE(same_bits(alone, got));
    }
  }
}

}  // namespace
}  // namespace citius
