// Norms of every instruction set against the scalar reference, with every aliasing that the contract allows.
#include "backend/op_test_util.h"

namespace citius {
namespace {

class NormTest : public IsaTest {};
CITIUS_FOR_EACH_ISA(NormTest);

// Bound of one element's error: statistics add C / 64 terms a lane and join 64 lanes; then a handful of operations. An error
// of the mean counts against the spread of the row.
double norm_bound(const TestTensor& x, int64_t row, int64_t begin, int64_t channels, bool center, double weight, double bias) {
  double mean = 0, largest = 0, square = 0;
  for (int64_t c = 0; c < channels; ++c) {
    mean += x.at(row, begin + c) / static_cast<double>(channels);
    largest = std::max(largest, std::fabs(static_cast<double>(x.at(row, begin + c))));
  }
  for (int64_t c = 0; c < channels; ++c) {
    const double v = x.at(row, begin + c) - (center ? mean : 0);
    square += v * v / static_cast<double>(channels);
  }
  const double inverse = 1 / std::sqrt(square + 1e-5);
  const double operations = 16 + static_cast<double>(channels) / 64;
  return kUnit * (operations * 2 * largest * inverse * std::fabs(weight) + 2 * std::fabs(bias));
}

TEST_P(NormTest, MatchesReference) {
  const auto backend = cpu();
  for (const NormKind kind : {NormKind::kLayerNorm, NormKind::kRmsNorm}) {
    const bool center = kind == NormKind::kLayerNorm;
    for (const int64_t C : {1, 7, 16, 63, 64, 65, 384, 577, 5000}) {
      TestTensor x = TestTensor::random({6, C}, 1, 2, 3);
      for (int64_t c = 0; c < C; ++c) x.at(1, c) += 30;  // a mean far from zero
      TestTensor weight = TestTensor::random({1, C}, 3), bias = TestTensor::random({1, C}, 4);
      TestTensor want({6, C}), got({6, C}, 1);
      NormArgs args;
      args.weights.kind = kind;
      args.x = x.view();
      args.weights.weight = {&weight.at(0, 0), static_cast<size_t>(C)};
      if (center) args.weights.bias = {&bias.at(0, 0), static_cast<size_t>(C)};
      args.weights.epsilon = 1e-5f;
      args.y = want.view();
      reference().norm(args);
      args.y = got.view();
      backend->norm(args);
      EXPECT_TRUE(within(
          got, want,
          [&](int64_t t, int64_t c) { return rounding() * norm_bound(x, t, 0, C, center, weight.at(0, c), center ? bias.at(0, c) : 0); }))
          << "C " << C;
      got.check_gaps();
    }
  }
}

TEST_P(NormTest, PerHeadWithoutWeights) {
  const auto backend = cpu();
  TestTensor x = TestTensor::random({5, 3, 40}, 1, 1, 11), want({5, 3, 40}), got({5, 3, 40});
  NormArgs args;
  args.weights.kind = NormKind::kRmsNorm;
  args.weights.epsilon = 1e-5f;
  args.x = x.view();
  args.y = want.view();
  reference().norm(args);
  args.y = got.view();
  backend->norm(args);
  EXPECT_TRUE(within(got, want, [&](int64_t t, int64_t i) { return rounding() * norm_bound(x, t, i / 40 * 40, 40, false, 1, 0); }));
}

TEST_P(NormTest, AliasesThreadsAndRowsAloneGiveTheSameBits) {
  const int64_t T = 70, C = 391;
  TestTensor x = TestTensor::random({T, C}, 1), weight = TestTensor::random({1, C}, 3);
  for (const NormKind kind : {NormKind::kLayerNorm, NormKind::kRmsNorm}) {
    TestTensor want({T, C});
    NormArgs args;
    args.weights.kind = kind;
    args.weights.weight = {&weight.at(0, 0), static_cast<size_t>(C)};
    args.weights.epsilon = 1e-6f;
    args.x = x.view();
    args.y = want.view();
    cpu(1)->norm(args);
    for (const int threads : {1, 2, 3}) {
      const auto backend = cpu(threads);
      TestTensor y({T, C}), in_place = x, alone({T, C});
      args.x = x.view();
      args.y = y.view();
      backend->norm(args);
      EXPECT_TRUE(same_bits(y, want));
      args.x = args.y = in_place.view();
      backend->norm(args);
      EXPECT_TRUE(same_bits(in_place, want));
      for (int64_t t = 0; t < T; ++t) {
        args.x = x.view().slice_rows(t, t + 1);
        args.y = alone.view().slice_rows(t, t + 1);
        backend->norm(args);
      }
      EXPECT_TRUE(same_bits(alone, want));
    }
  }
}

}  // namespace
}  // namespace citius
