// The same sequence gives the same bits alone or in a batch, with any number of threads, with its prompt in one piece or in
// chunks, decoded or read at once: for every format, both compute modes, every instruction set and every cache type.
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/decoder.h"
#include "runtime/encoder.h"
#include "support/tiny_model.h"

namespace citius {
namespace {

struct Case {
  std::string isa;
  Format format;
  Compute compute;
  KvType kv_type = KvType::kF32;
};

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.isa + "_" + std::string(format_name(info.param.format)) +
                     (info.param.compute == Compute::kExact ? "_exact" : "_fast") + "_kv" +
                     std::string(kv_type_info(info.param.kv_type).name);
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

std::vector<Case> cases() {
  std::vector<Case> list;
  for (const std::string& isa : available_isas()) {
    for (Format format : all_formats()) {
      if (!can_encode(format)) continue;
      list.push_back({isa, format, Compute::kFast});
      list.push_back({isa, format, Compute::kExact});
    }
    list.push_back({isa, Format::kF32, Compute::kFast, KvType::kBF16});
    list.push_back({isa, Format::kF32, Compute::kFast, KvType::kInt8});
    list.push_back({isa, Format::kInt8, Compute::kFast, KvType::kBF16});  // what --kv-type auto may choose
  }
  return list;
}

EngineOptions options_of(const Case& c, int num_threads) {
  EngineOptions options;
  options.isa = c.isa;
  options.num_threads = num_threads;
  options.compute = c.compute;
  options.kv_type = c.kv_type;
  options.policy = [format = c.format](const WeightRecord&) { return format; };
  return options;
}

using Rows = std::vector<std::vector<float>>;

Rows copy_rows(const TensorView& x, int64_t begin, int64_t end) {
  Rows rows;
  for (int64_t i = begin; i < end; ++i) rows.emplace_back(x.row(i), x.row(i) + x.shape[1]);
  return rows;
}

// Bit equality; NaN would compare unequal as a number.
void expect_same(const Rows& a, const Rows& b, const char* what) {
  ASSERT_EQ(a.size(), b.size()) << what;
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::memcmp(a[i].data(), b[i].data(), a[i].size() * sizeof(float)), 0) << what << ", row " << i;
  }
}

// Hidden states of `ids` fed in pieces of these sizes, then logits of the last row.
Rows run_in_pieces(Decoder& decoder, const std::vector<int32_t>& ids, const std::vector<size_t>& pieces) {
  const int32_t sequence = decoder.create();
  Rows rows;
  size_t begin = 0;
  for (size_t size : pieces) {
    const Decoder::Step step{sequence, std::span(ids).subspan(begin, size)};
    const TensorView hidden = decoder.forward({&step, 1});
    for (auto& row : copy_rows(hidden, 0, hidden.rows())) rows.push_back(std::move(row));
    begin += size;
    if (begin == ids.size()) {
      const std::vector<int64_t> last = {hidden.rows() - 1};
      rows.push_back(copy_rows(decoder.logits(hidden, last), 0, 1)[0]);
    }
  }
  decoder.release(sequence);
  return rows;
}

class Exactness : public testing::TestWithParam<Case> {};

// The rows of a sequence of 150 tokens, with several threads, in pieces, one by one and beside others.
void expect_batch_threads_and_chunks_ignored(const Checkpoint& checkpoint, const Case& c) {
  const std::vector<int32_t> ids = test::random_ids(150, 96, 1);
  Rows expected;
  for (int num_threads : {1, 2, 3}) {
    Engine engine = test::make_engine(checkpoint, options_of(c, num_threads));
    Decoder decoder(engine, 4096);
    const Rows whole = run_in_pieces(decoder, ids, {150});
    if (expected.empty()) expected = whole;
    expect_same(expected, whole, "threads");
    if (num_threads == 3) continue;
    expect_same(expected, run_in_pieces(decoder, ids, {1, 63, 1, 40, 45}), "chunks");
    std::vector<size_t> one_by_one(ids.size() - 100, 1);
    one_by_one.insert(one_by_one.begin(), 100);
    expect_same(expected, run_in_pieces(decoder, ids, one_by_one), "decoding token by token");
    // Together with others of several lengths, one of them decoding.
    std::vector<std::vector<int32_t>> others = {test::random_ids(7, 96, 2), test::random_ids(65, 96, 3), test::random_ids(1, 96, 4)};
    std::vector<Decoder::Step> steps;
    for (const auto& other : others) steps.push_back({decoder.create(), other});
    const int32_t sequence = decoder.create();
    steps.insert(steps.begin() + 2, {sequence, ids});
    const TensorView hidden = decoder.forward(steps);
    expect_same(Rows(expected.begin(), expected.end() - 1), copy_rows(hidden, 72, 222), "batch");
    for (const Decoder::Step& step : steps) decoder.release(step.sequence);
  }
}

TEST_P(Exactness, DecoderIgnoresBatchThreadsAndChunks) { expect_batch_threads_and_chunks_ignored(test::tiny_llama(), GetParam()); }

TEST_P(Exactness, ForkedSequencesGoOnAlike) {
  Engine engine = test::make_engine(test::tiny_llama(), options_of(GetParam(), 2));
  Decoder decoder(engine, 4096);
  const std::vector<int32_t> ids = test::random_ids(70, 96, 5), more = test::random_ids(3, 96, 6);
  const int32_t a = decoder.create();
  const Decoder::Step first{a, ids};
  decoder.forward({&first, 1});
  const int32_t b = decoder.fork(a);
  const Decoder::Step other{a, std::span(ids).first(5)};
  decoder.forward({&other, 1});  // what one of them writes, the other does not see
  const Decoder::Step next{b, more};
  const TensorView hidden = decoder.forward({&next, 1});
  std::vector<int32_t> all = ids;
  all.insert(all.end(), more.begin(), more.end());
  const Rows got = copy_rows(hidden, 0, 3);
  decoder.release(a);
  decoder.release(b);
  const Rows expected = run_in_pieces(decoder, all, {73});
  expect_same(Rows(expected.begin() + 70, expected.begin() + 73), got, "fork");
}

TEST_P(Exactness, EncoderIgnoresBatchAndThreads) {
  std::vector<std::vector<int32_t>> texts;
  for (size_t length : {5, 1, 64, 65, 129, 17, 2}) texts.push_back(test::random_ids(length, 96, length));
  std::vector<EncoderInput> inputs;
  for (const auto& text : texts) inputs.push_back({text, {}});
  std::vector<Rows> expected(texts.size());
  for (int num_threads : {1, 2, 3}) {
    Engine engine = test::make_engine(test::tiny_bert(), options_of(GetParam(), num_threads));
    Encoder together(engine), alone(engine, /*batch_tokens=*/1);
    for (Encoder* encoder : {&alone, &together}) {
      encoder->run(inputs, [&](const ForwardContext&, size_t index, const TensorView& hidden) {
        const Rows rows = copy_rows(hidden, 0, hidden.rows());
        if (expected[index].empty()) expected[index] = rows;
        expect_same(expected[index], rows, "encoder");
      });
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Exactness, testing::ValuesIn(cases()), case_name);

// Sliding windows skip whole pieces of keys. Attention does not see the format of weights: fp32 and one integer format do.
class WindowExactness : public testing::TestWithParam<Case> {};

TEST_P(WindowExactness, DecoderIgnoresBatchThreadsAndChunks) {
  Checkpoint checkpoint = test::tiny_llama();
  checkpoint.config["model_type"] = "mistral";
  checkpoint.config["sliding_window"] = 21;
  expect_batch_threads_and_chunks_ignored(checkpoint, GetParam());
}

std::vector<Case> window_cases() {
  std::vector<Case> list;
  for (const std::string& isa : available_isas()) {
    list.push_back({isa, Format::kF32, Compute::kExact});
    list.push_back({isa, Format::kF32, Compute::kFast, KvType::kBF16});
    list.push_back({isa, Format::kF32, Compute::kFast, KvType::kInt8});
    list.push_back({isa, Format::kInt8, Compute::kFast, KvType::kBF16});  // what --kv-type auto may choose
    list.push_back({isa, Format::kInt8G32, Compute::kFast});
  }
  return list;
}

INSTANTIATE_TEST_SUITE_P(All, WindowExactness, testing::ValuesIn(window_cases()), case_name);

}  // namespace
}  // namespace citius
