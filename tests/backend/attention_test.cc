// Attention and the writing of keys and values: against the scalar reference, and the same bits whatever the threads, the
// batch and the chunks. Memory that no token was written to is NaN throughout.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <map>
#include <numeric>

#include "backend/op_test_util.h"
#include "tensor/float_types.h"

namespace citius {
namespace {

class AttentionTest : public IsaTest {};
CITIUS_FOR_EACH_ISA(AttentionTest);

struct Setting {
  int64_t H = 2, K = 2, D = 32;
  int64_t rotary = 0;  // 0: no rotation
  bool causal = true;
  int64_t window = 0;
  float softcap = 0;
  int64_t bias_radius = 0;  // 0: no bias
  KvType type = KvType::kF32;
  std::vector<int64_t> lengths;
};

// Queries, keys and values of all tokens of all sequences, and blocks of memory that they are written to in a shuffled order.
struct Problem {
  explicit Problem(const Setting& setting) : s(setting), T(std::accumulate(s.lengths.begin(), s.lengths.end(), int64_t{0})) {
    q = std::make_unique<TestTensor>(TestTensor::random({T, s.H, s.D}, 1, 1.5f, 3));
    k = std::make_unique<TestTensor>(TestTensor::random({T, s.K, s.D}, 2, 1, 5));
    v = std::make_unique<TestTensor>(TestTensor::random({T, s.K, s.D}, 3, 1, 2));
    if (s.bias_radius > 0) bias = std::make_unique<TestTensor>(TestTensor::random({s.H, 2 * s.bias_radius + 1}, 4));
    int64_t num_blocks = 1;
    for (const int64_t length : s.lengths) num_blocks += (length + kKvBlock - 1) / kKvBlock;
    std::vector<int32_t> order(static_cast<size_t>(num_blocks));
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937(5));
    auto next = order.begin();
    for (const int64_t length : s.lengths) {
      const auto count = (length + kKvBlock - 1) / kKvBlock;
      tables.emplace_back(next, next + count);
      next += count;
    }
    kv = {nullptr, s.type, num_blocks, s.K, s.D};
  }

  // Runs the tokens in steps: in each, every sequence gives its next `chunk` tokens (0: all).
  TestTensor run(Backend& backend, int64_t chunk = 0) {
    memory.assign(kv.block_bytes() * static_cast<size_t>(kv.num_blocks), 0xff);  // NaN in every type
    kv.data = memory.data();
    TestTensor out({T, s.H, s.D}, 4);
    for (int64_t done = 0;; done += chunk) {
      std::vector<SequenceSpan> spans;
      std::vector<int64_t> rows;  // of all tokens, which go into this step
      int64_t start = 0;
      for (size_t i = 0; i < tables.size(); ++i) {
        const int64_t length = s.lengths[i];
        const int64_t count = std::clamp<int64_t>(length - done, 0, chunk > 0 ? chunk : length);
        const auto begin = static_cast<int32_t>(rows.size());
        for (int64_t t = 0; t < count; ++t) rows.push_back(start + done + t);
        if (count > 0 || empty) {
          const auto past = static_cast<int32_t>(std::min(done, length));
          spans.push_back({begin, static_cast<int32_t>(rows.size()), past, tables[i].data()});
        }
        start += length;
      }
      if (rows.empty()) break;
      step(backend, spans, rows, out);
      if (chunk == 0) break;
    }
    out.check_gaps();
    return out;
  }

  void step(Backend& backend, const std::vector<SequenceSpan>& spans, const std::vector<int64_t>& rows, TestTensor& out) {
    const auto n = std::ssize(rows);
    const auto num_spans = std::ssize(spans);
    const auto pick = [&](const TestTensor& from, int64_t gap) {
      TestTensor to({n, from.shape()[1], from.shape()[2]}, gap);
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t c = 0; c < from.shape().row_elements(); ++c) to.at(i, c) = from.at(rows[static_cast<size_t>(i)], c);
      }
      return to;
    };
    TestTensor step_q = pick(*q, 3), step_k = pick(*k, 0), step_v = pick(*v, 1), step_out({n, s.H, s.D}, 2);
    AttentionArgs args;
    args.q = step_q.view();
    args.k = step_k.view();
    args.v = step_v.view();
    args.sequences = spans.data();
    args.num_sequences = num_spans;
    args.kv = &kv;
    args.scale = scale();
    args.causal = s.causal;
    args.window = s.window;
    args.softcap = s.softcap;
    args.bias = bias ? &bias->at(0, 0) : nullptr;
    args.bias_radius = s.bias_radius;
    args.out = step_out.view();
    std::vector<int32_t> positions;
    for (const SequenceSpan& span : spans) {
      for (int32_t t = 0; t < span.end - span.begin; ++t) positions.push_back(span.past + t);
    }
    if (s.rotary > 0) args.rope = rotation(positions);
    if (separate) {
      if (args.rope) backend.rope({args.q, *args.rope});
      if (args.rope) backend.rope({args.k, *args.rope});
      backend.kv_write({args.k, args.v, args.sequences, args.num_sequences, args.kv});
      args.rope.reset();
      args.k = args.v = {};
    }
    backend.attention(args);
    step_out.check_gaps();
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t c = 0; c < s.H * s.D; ++c) out.at(rows[static_cast<size_t>(i)], c) = step_out.at(i, c);
    }
  }

  Rotation rotation(const std::vector<int32_t>& positions) {
    const int64_t longest = *std::max_element(s.lengths.begin(), s.lengths.end());
    if (cosines.empty()) {
      for (int64_t i = 0; i < longest * s.rotary / 2; ++i) {
        const double angle = static_cast<double>(i / (s.rotary / 2)) / (1 + static_cast<double>(i % (s.rotary / 2)));
        cosines.push_back(static_cast<float>(std::cos(angle)));
        sines.push_back(static_cast<float>(std::sin(angle)));
      }
    }
    return {positions.data(), cosines.data(), sines.data(), s.rotary, s.rotary % 4 == 0};
  }

  float scale() const { return 1 / std::sqrt(static_cast<float>(s.D)); }

  // A score is a sum of D products, wrong by at most D units of ‖q‖ ‖k‖ · scale (less: softcap flattens); weights then err by
  // twice that and a few units; the weighted mean of n values adds n units. Where queries and weights are rounded to bf16, 2^-9 relative,
  // a score is wrong by as much of ‖q‖ ‖k‖ · scale, a weight by twice that, its own rounding and the 1e-4 of its exponential.
  double bound(int64_t t, double rounding, bool rounds_rows) const {
    double q_norm = 0, k_norm = 0, largest = 0;
    for (int64_t h = 0; h < s.H; ++h) q_norm = std::max(q_norm, norm(*q, t, h));
    for (int64_t j = 0; j < T; ++j) {
      for (int64_t g = 0; g < s.K; ++g) k_norm = std::max(k_norm, norm(*k, j, g));
      for (int64_t c = 0; c < s.K * s.D; ++c) largest = std::max(largest, std::fabs(static_cast<double>(v->at(j, c))));
    }
    const double score = q_norm * k_norm * static_cast<double>(scale()) + (bias ? 5 : 0);
    const double keys = static_cast<double>(*std::max_element(s.lengths.begin(), s.lengths.end()));
    const double rows = rounds_rows ? largest * ((2 * score + 1) / 512 + 1e-4) : 0;
    return rows + rounding * kUnit * largest * (2 * (static_cast<double>(s.D) + 8) * score + keys + 16);
  }

  double norm(const TestTensor& x, int64_t t, int64_t h) const {
    double sum = 0;
    for (int64_t d = 0; d < s.D; ++d) sum += static_cast<double>(x.at(t, h * s.D + d)) * static_cast<double>(x.at(t, h * s.D + d));
    return std::sqrt(sum);
  }

  Setting s;
  int64_t T;
  std::unique_ptr<TestTensor> q, k, v, bias;
  std::vector<std::vector<int32_t>> tables;
  std::vector<uint8_t> memory;
  std::vector<float> cosines, sines;
  KvLayer kv;
  bool empty = false;     // sequences without new tokens are named too
  bool separate = false;  // rotates, writes and attends by one op each
};

std::vector<Setting> settings() {
  std::vector<Setting> all;
  const std::vector<int64_t> lengths = {1, 63, 64, 65, 7, 200};
  for (const bool causal : {true, false}) {
    for (const int64_t window : {0, 1, 40, 64, 100}) {
      all.push_back({.H = 3, .K = 3, .D = 32, .causal = causal, .window = window, .lengths = lengths});
    }
    all.push_back({.H = 9, .K = 3, .D = 64, .causal = causal, .lengths = lengths});
    all.push_back({.H = 9, .K = 3, .D = 64, .causal = causal, .type = KvType::kBF16, .lengths = lengths});
    all.push_back({.H = 9, .K = 3, .D = 64, .causal = causal, .type = KvType::kInt8, .lengths = lengths});
    all.push_back({.H = 3, .K = 3, .D = 32, .causal = causal, .window = 40, .type = KvType::kInt8, .lengths = lengths});
    all.push_back({.H = 4, .K = 1, .D = 128, .causal = causal, .window = 70, .softcap = 5, .lengths = lengths});
    all.push_back({.H = 2, .K = 2, .D = 1, .causal = causal, .lengths = {130}});
    all.push_back({.H = 2, .K = 1, .D = 17, .causal = causal, .lengths = {3, 129}});
    all.push_back({.H = 2, .K = 2, .D = 80, .causal = causal, .type = KvType::kBF16, .lengths = {90}});
    all.push_back({.H = 2, .K = 1, .D = 17, .causal = causal, .window = 5, .type = KvType::kBF16, .lengths = {3, 129}});
    all.push_back({.H = 2, .K = 2, .D = 1, .causal = causal, .softcap = 5, .type = KvType::kBF16, .lengths = {130}});
    all.push_back({.H = 3, .K = 3, .D = 32, .causal = causal, .window = 40, .type = KvType::kBF16, .lengths = lengths});
    all.push_back({.H = 2, .K = 1, .D = 17, .causal = causal, .softcap = 5, .type = KvType::kInt8, .lengths = {3, 129}});
    all.push_back({.H = 14, .K = 2, .D = 8, .causal = causal, .bias_radius = 20, .lengths = {5, 150}});
    all.push_back({.H = 12, .K = 12, .D = 40, .causal = causal, .bias_radius = 300, .type = KvType::kBF16, .lengths = {100, 20}});
    all.push_back({.H = 12, .K = 12, .D = 40, .causal = causal, .bias_radius = 20, .type = KvType::kInt8, .lengths = {100, 20}});
    all.push_back({.H = 70, .K = 1, .D = 16, .causal = causal, .lengths = {5, 70}});
    for (const int64_t window : {0, 20, 600}) {  // several spans
      all.push_back({.H = 2, .K = 1, .D = 16, .causal = causal, .window = window, .lengths = {1100, 512, 513}});
    }
    for (const KvType type : {KvType::kF32, KvType::kBF16, KvType::kInt8}) {
      for (const int64_t rotary : {24, 6})
        all.push_back({.H = 6, .K = 2, .D = 24, .rotary = rotary, .causal = causal, .type = type, .lengths = lengths});
    }
  }
  return all;
}

std::string describe(const Setting& s) {
  return fmt::format("H {} K {} D {} rotary {} causal {} window {} softcap {} bias {} type {} longest {}", s.H, s.K, s.D, s.rotary,
                     s.causal, s.window, s.softcap, s.bias_radius, kv_type_info(s.type).name,
                     *std::max_element(s.lengths.begin(), s.lengths.end()));
}

TEST_P(AttentionTest, MatchesReference) {
  const auto backend = cpu();
  static std::map<std::string, TestTensor> wants;  // the reference is slow: once for all instruction sets
  for (const Setting& setting : settings()) {
    Problem problem(setting);
    if (!wants.contains(describe(setting))) wants.emplace(describe(setting), problem.run(reference()));
    const TestTensor& want = wants.at(describe(setting));
    const TestTensor got = problem.run(*backend);
    std::vector<double> bounds;
    const bool rounds_rows = backend->multiplies_bf16() && setting.type == KvType::kBF16;
    for (int64_t t = 0; t < problem.T; ++t) bounds.push_back(problem.bound(t, rounding(), rounds_rows));
    EXPECT_TRUE(within(got, want, [&](int64_t t, int64_t) { return bounds[static_cast<size_t>(t)]; })) << describe(setting);
  }
}

TEST_P(AttentionTest, ThreadsGiveTheSameBits) {
  for (const Setting& setting : settings()) {
    Problem problem(setting);
    const TestTensor want = problem.run(*cpu(1));
    EXPECT_TRUE(same_bits(problem.run(*cpu(2)), want)) << describe(setting);
    EXPECT_TRUE(same_bits(problem.run(*cpu(3)), want)) << describe(setting);
  }
}

TEST_P(AttentionTest, OneOpGivesTheBitsOfThree) {
  for (const Setting& setting : settings()) {
    Problem problem(setting);
    problem.separate = true;
    const TestTensor want = problem.run(*cpu(1));
    const std::vector<uint8_t> memory = problem.memory;
    problem.separate = false;
    for (const int threads : {1, 3}) {
      EXPECT_TRUE(same_bits(problem.run(*cpu(threads)), want)) << describe(setting);
      EXPECT_EQ(problem.memory, memory) << describe(setting);
    }
  }
}

TEST_P(AttentionTest, ChunksAndDecodingGiveTheSameBits) {
  const auto backend = cpu(2);
  for (const Setting& setting : settings()) {
    if (!setting.causal) continue;
    Problem problem(setting);
    const TestTensor want = problem.run(*backend);
    for (const int64_t chunk : {1, 5, 64, 100}) {
      EXPECT_TRUE(same_bits(problem.run(*backend, chunk), want)) << describe(setting) << " chunk " << chunk;
    }
  }
}

TEST_P(AttentionTest, SequencesAloneGiveTheSameBits) {
  const auto backend = cpu(2);
  for (const Setting& setting : settings()) {
    Problem together(setting);
    const TestTensor want = together.run(*backend);
    int64_t start = 0;
    for (const int64_t length : setting.lengths) {
      Setting single = setting;
      single.lengths = {length};
      Problem alone(single);
      for (auto [to, from] : {std::pair{&alone.q, &together.q}, {&alone.k, &together.k}, {&alone.v, &together.v}}) {
        for (int64_t t = 0; t < length; ++t) {
          for (int64_t c = 0; c < (*to)->shape().row_elements(); ++c) (*to)->at(t, c) = (*from)->at(start + t, c);
        }
      }
      const TestTensor got = alone.run(*backend);
      for (int64_t t = 0; t < length; ++t) {
        for (int64_t c = 0; c < setting.H * setting.D; ++c) {
          ASSERT_EQ(std::bit_cast<uint32_t>(got.at(t, c)), std::bit_cast<uint32_t>(want.at(start + t, c))) << describe(setting);
        }
      }
      start += length;
    }
  }
}

TEST_P(AttentionTest, LongDecodeGivesTheSameBitsForAnyNumberOfThreads) {
  struct Shape {
    int64_t H, K, window;
  };
  for (const auto& [H, K, window] : {Shape{9, 3, 0}, {1, 1, 0}, {8, 1, 0}, {3, 1, 40}, {3, 1, 700}}) {
    for (const KvType type : {KvType::kF32, KvType::kBF16, KvType::kInt8}) {
      Problem problem({.H = H, .K = K, .D = 64, .window = window, .type = type, .lengths = {1500}});
      const TestTensor want = problem.run(*cpu(1));
      for (const int threads : {1, 2, 3}) {
        const auto backend = cpu(threads);
        TestTensor got = want;
        for (const int64_t position : {1499, 1407, 1300}) {  // these tokens again, their keys and values being there already
          const SequenceSpan span{0, 1, static_cast<int32_t>(position), problem.tables[0].data()};
          for (int64_t c = 0; c < H * 64; ++c) got.at(position, c) = 0;
          problem.step(*backend, {span}, {position}, got);
        }
        EXPECT_TRUE(same_bits(got, want)) << H << " " << K << " threads " << threads;
      }
    }
  }
}

TEST_P(AttentionTest, SequencesWithoutNewTokensChangeNothing) {
  for (const KvType type : {KvType::kF32, KvType::kBF16, KvType::kInt8}) {
    Problem problem({.H = 4, .K = 2, .D = 16, .rotary = 16, .type = type, .lengths = {0, 5, 0, 70, 0}});
    for (const int64_t chunk : {0, 1, 7}) {
      problem.empty = false;
      const TestTensor want = problem.run(*cpu(1), chunk);
      problem.empty = true;
      for (const int threads : {1, 2}) EXPECT_TRUE(same_bits(problem.run(*cpu(threads), chunk), want)) << chunk << " threads " << threads;
    }
    TestTensor none({0, 4, 16});
    problem.step(*cpu(), {}, {}, none);
  }
}

TEST_P(AttentionTest, FewTokensStayOnOneThread) {
  const auto backend = cpu(2);
  for (const auto& [length, shared] : {std::pair<int64_t, bool>{3, false}, {200, true}}) {
    Problem problem({.H = 2, .K = 2, .D = 32, .lengths = {length}});
    const uint32_t before = backend->threads().num_shared_loops();
    problem.run(*backend);
    EXPECT_EQ(backend->threads().num_shared_loops() > before, shared) << length;
  }
}

TEST_P(AttentionTest, EnormousScoresGiveFiniteResults) {
  for (const KvType type : {KvType::kF32, KvType::kBF16, KvType::kInt8}) {
    for (const int64_t D : {64, 80}) {
      Problem problem({.H = 4, .K = 4, .D = D, .type = type, .lengths = {70, 600}});
      for (int64_t t = 0; t < problem.T; ++t) {
        for (int64_t c = 0; c < 4 * D; ++c) {
          problem.q->at(t, c) *= 1e6f;
          problem.k->at(t, c) *= 1e6f;
        }
      }
      const TestTensor got = problem.run(*cpu());
      for (int64_t t = 0; t < problem.T; ++t) {
        for (int64_t c = 0; c < 4 * D; ++c) ASSERT_LT(std::fabs(got.at(t, c)), 10) << kv_type_info(type).name << " " << t << " " << c;
      }
    }
  }
}

// A value that some rows of a tile see and others do not.
TEST_P(AttentionTest, WhatIsNotFiniteReachesOnlyThoseWhoSeeIt) {
  for (const KvType type : {KvType::kF32, KvType::kBF16}) {
    for (const float special : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
      Problem problem({.H = 6, .K = 2, .D = 64, .type = type, .lengths = {100}});
      for (int64_t c = 0; c < 2 * 64; ++c) problem.v->at(40, c) = special;
      const TestTensor whole = problem.run(*cpu()), chunks = problem.run(*cpu(), 7);
      for (int64_t t = 0; t < problem.T; ++t) {
        for (int64_t c = 0; c < 6 * 64; ++c) {
          ASSERT_EQ(std::isfinite(whole.at(t, c)), t < 40) << kv_type_info(type).name << " " << t << " " << c;
          if (t < 40) ASSERT_EQ(whole.at(t, c), chunks.at(t, c)) << kv_type_info(type).name << " " << t << " " << c;
        }
      }
    }
  }
}

TEST_P(AttentionTest, BlocksOfInfinitelyLowScoresHaveNoWeight) {
  for (const KvType type : {KvType::kF32, KvType::kBF16}) {
    // `low`: the first of 64 tokens whose scores overflow, a block, or all that is seen of a span.
    for (const auto& [low, D] : std::vector<std::pair<int64_t, int64_t>>{{0, 16}, {512, 16}, {0, 32}, {512, 32}}) {
      Problem problem({.H = 1, .K = 1, .D = D, .type = type, .lengths = {600}});
      for (int64_t t = 0; t < 600; ++t) {
        for (int64_t d = 0; d < D; ++d) {
          problem.q->at(t, d) = 1e20f;
          problem.k->at(t, d) = t >= low && t < low + 64 ? -1e20f : 0.0f;
          problem.v->at(t, d) = t >= low && t < low + 64 ? 100.0f : 1.0f;
        }
      }
      for (const int64_t chunk : {0, 1}) {
        const TestTensor got = problem.run(*cpu(2), chunk);
        for (int64_t d = 0; d < D; ++d) EXPECT_NEAR(got.at(599, d), 1, 1e-4) << kv_type_info(type).name << " " << low << " " << chunk;
      }
    }
  }
}

// Chunks that fill tiles of 16 tokens, that do not, and that begin and end within pairs of tokens.
TEST_P(AttentionTest, KeysAndValuesAreRoundedAndNothingElseIsWritten) {
  for (const KvType type : {KvType::kF32, KvType::kBF16, KvType::kInt8}) {
    for (const auto& [D, chunk] : {std::pair<int64_t, int64_t>{5, 7}, {5, 0}, {16, 1}, {16, 19}, {40, 7}, {40, 0}, {64, 0}}) {
      Problem problem({.H = 2, .K = 2, .D = D, .type = type, .lengths = {3, 100}});
      problem.k->at(0, 0) = std::numeric_limits<float>::quiet_NaN();
      problem.k->at(40, 1) = std::numeric_limits<float>::quiet_NaN();
      problem.v->at(1, 1) = -std::numeric_limits<float>::infinity();
      problem.run(reference(), chunk);
      const std::vector<uint8_t> want = problem.memory;
      problem.run(*cpu(), chunk);
      // NaN may carry any payload.
      const auto is_nan = [](const std::vector<uint8_t>& memory, size_t i, size_t size) {
        uint32_t bits = 0;
        std::memcpy(&bits, memory.data() + i, size);
        return size != 1 && std::isnan(std::bit_cast<float>(size == 4 ? bits : bits << 16));
      };
      const auto part = static_cast<size_t>(problem.kv.part_bytes());
      const auto number = static_cast<size_t>(kv_type_info(type).value_bytes);
      const size_t numbers = kv_type_info(type).scale_bytes == 0 ? part : number * static_cast<size_t>(kKvBlock * D);
      for (size_t i = 0, size = 0; i < want.size(); i += size) {
        size = i % part < numbers ? number : sizeof(float);  // the scales are behind the numbers
        if (is_nan(want, i, size) && is_nan(problem.memory, i, size)) continue;
        ASSERT_EQ(std::memcmp(want.data() + i, problem.memory.data() + i, size), 0)
            << i << " D " << D << " chunk " << chunk << " type " << static_cast<int>(type);
      }
    }
  }
}

TEST_P(AttentionTest, Int8HasTheNearestCodesAndWhatIsNoNumberStaysSo) {
  constexpr int64_t D = 20;
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const float numbers[D] = {-127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 126.4f, 100};
  const auto backend = cpu();
  for (Backend* const by : {&reference(), backend.get()}) {
    for (const bool in_values : {true, false}) {
      for (const float special : {nan, infinity, -infinity}) {
        // A vector of zeros, one of numbers, one of numbers too small for a scale, one with something special.
        Problem problem({.H = 1, .K = 1, .D = D, .type = KvType::kInt8, .lengths = {4}});
        TestTensor& x = in_values ? *problem.v : *problem.k;
        for (int64_t d = 0; d < D; ++d) {
          x.at(0, d) = 0;
          x.at(1, d) = numbers[d];
          x.at(2, d) = numbers[d] * 1e-39f;
          x.at(3, d) = d == 3 ? special : numbers[d];
          for (int64_t t = 0; t < 4; ++t) problem.q->at(t, d) = 0;  // equal weights
        }
        const TestTensor out = problem.run(*by);
        const uint8_t* part = problem.memory.data() + problem.tables[0][0] * static_cast<int64_t>(problem.kv.block_bytes()) +
                              (in_values ? problem.kv.part_bytes() : 0);
        float scales[4];
        std::memcpy(scales, part + kKvBlock * D, sizeof scales);
        EXPECT_EQ(scales[0], 0);
        EXPECT_EQ(scales[1], 1);
        EXPECT_LT(scales[2], 1e-38f);
        EXPECT_FALSE(std::isfinite(scales[3]));
        const int8_t codes[D] = {-127, 0, 2, 2, 0, -2, 126, 100};
        for (int64_t d = 0; d < D; ++d) {
          const auto code = [&](int64_t t) { return static_cast<int8_t>(part[in_values ? t * D + d : d * kKvBlock + t]); };
          EXPECT_EQ(code(0), 0);
          EXPECT_EQ(code(1), codes[d]);
          if (in_values) {
            EXPECT_EQ(out.at(0, d), 0);
            EXPECT_EQ(out.at(1, d), static_cast<float>(codes[d]) / 2);
          }
          EXPECT_TRUE(std::isfinite(out.at(2, d)));
          EXPECT_TRUE(std::isnan(out.at(3, d)));
        }
      }
    }
  }
}

// What would be read or written beside the memory it is meant for, or mean nothing.
TEST_P(AttentionTest, RefusesArgumentsThatMeanNothing) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(Problem({.D = 4, .rotary = 6, .lengths = {3}}).run(*cpu(1)), "rotary");
  EXPECT_DEATH(Problem({.window = -1, .lengths = {3}}).run(*cpu(1)), "window");
  EXPECT_DEATH(Problem({.softcap = -1, .lengths = {3}}).run(*cpu(1)), "softcap");
}

}  // namespace
}  // namespace citius
