// Every architecture and head on tiny random models against transformers (tests/golden/models/make.py): the hidden states
// around every layer, the final ones and the logits, on the reference backend and on the CPU backend with every
// instruction set of this machine.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "heads/head.h"
#include "heads/labels.h"
#include "io/safetensors.h"

namespace citius {
namespace {

namespace fs = std::filesystem;

// ||a - b|| / ||b|| per token; fp32 on both sides, and the sums of either are at most 140 long.
constexpr double kTolerance = 1e-5;

struct Case {
  std::string model;    // folder, or file
  std::string backend;  // "ref", or an instruction set of the CPU backend
};

void PrintTo(const Case& item, std::ostream* out) { *out << item.model << " on " << item.backend; }

fs::path golden_folder() { return fs::path(CITIUS_TEST_DIR) / "golden/models"; }

std::vector<Case> cases() {
  std::vector<std::string> backends = available_isas();
  backends.insert(backends.begin(), "ref");
  std::vector<std::string> models;
  for (const fs::directory_entry& entry : fs::directory_iterator(golden_folder())) {
    if (!entry.is_directory()) continue;
    models.push_back(entry.path().filename().string());
    if (fs::exists(entry.path() / "model.gguf")) models.push_back(entry.path().filename().string() + "/model.gguf");
  }
  std::sort(models.begin(), models.end());
  std::vector<Case> list;
  for (const std::string& model : models) {
    for (const std::string& backend : backends) list.push_back({model, backend});
  }
  return list;
}

struct Golden {
  explicit Golden(const fs::path& folder) : file(folder / "golden.safetensors") {}

  template <typename T>
  std::vector<T> values(const std::string& name) const {
    const SafetensorsEntry& entry = file.entries().at(name);
    std::vector<T> result(entry.bytes.size() / sizeof(T));
    std::memcpy(result.data(), entry.bytes.data(), entry.bytes.size());
    return result;
  }
  bool has(const std::string& name) const { return file.entries().contains(name); }
  size_t num_layers() const {
    size_t count = 0;
    while (has("hidden." + std::to_string(count))) ++count;
    return count;
  }

  SafetensorsFile file;
};

/// Packed sequences with a block table each.
struct PackedBatch {
  std::vector<int32_t> tokens, types, positions, blocks;
  std::vector<SequenceSpan> spans;
  Batch batch() const { return {tokens, positions, types, spans}; }
};

PackedBatch pack(const std::vector<int32_t>& tokens, const std::vector<int32_t>& types, const std::vector<int32_t>& lengths) {
  PackedBatch packed{tokens, types, {}, {}, {}};
  std::vector<size_t> first;
  for (int32_t length : lengths) {
    const auto begin = static_cast<int32_t>(packed.positions.size());
    first.push_back(packed.blocks.size());
    for (int32_t i = 0; i < length; ++i) {
      if (i % kKvBlock == 0) packed.blocks.push_back(static_cast<int32_t>(packed.blocks.size()));
      packed.positions.push_back(i);
    }
    packed.spans.push_back({begin, begin + length, 0, nullptr});
  }
  // Sequences use the blocks from the last to the first, so that a block table that is not followed is noticed.
  std::reverse(packed.blocks.begin(), packed.blocks.end());
  for (size_t i = 0; i < first.size(); ++i) packed.spans[i].blocks = packed.blocks.data() + first[i];
  return packed;
}

/// Largest relative error of a row.
double worst_row(const std::vector<float>& got, const std::vector<float>& expected, size_t columns) {
  EXPECT_EQ(got.size(), expected.size());
  if (got.size() != expected.size()) return INFINITY;
  double worst = 0;
  for (size_t begin = 0; begin < got.size(); begin += columns) {
    double difference = 0, norm = 0;
    for (size_t i = begin; i < begin + columns; ++i) {
      const double d = static_cast<double>(got[i]) - static_cast<double>(expected[i]);
      difference += d * d;
      norm += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
    }
    const double error = std::sqrt(difference / norm);
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  return worst;
}

std::vector<float> copy(const TensorView& x) {
  std::vector<float> values;
  for (int64_t i = 0; i < x.rows(); ++i) values.insert(values.end(), x.row(i), x.row(i) + x.shape[1]);
  return values;
}

int64_t head_outputs(const Checkpoint& checkpoint, const LoadedModel& loaded, HeadKind kind) {
  switch (kind) {
    case HeadKind::kCausalLm:
    case HeadKind::kMaskedLm: return loaded.model->config().vocab_size;
    case HeadKind::kMultipleChoice: return 1;
    case HeadKind::kQuestionAnswering: return 2;
    default: return static_cast<int64_t>(read_labels(checkpoint).size());
  }
}

class GoldenModel : public testing::TestWithParam<Case> {
 protected:
  void run();
};

void GoldenModel::run() {
  const auto& [name, backend_name] = GetParam();
  const fs::path path = golden_folder() / name;
  const Golden golden(fs::is_directory(path) ? path : path.parent_path());
  const std::vector<int32_t> lengths = golden.values<int32_t>("lengths");
  const PackedBatch packed = pack(golden.values<int32_t>("input_ids"),
                                  golden.has("token_types") ? golden.values<int32_t>("token_types") : std::vector<int32_t>(), lengths);
  const bool ref = backend_name == "ref";
  const std::unique_ptr<Backend> backend = make_backend(ref ? "ref" : "cpu", {/*num_threads=*/2, ref ? "" : backend_name});
  const Checkpoint checkpoint = open_checkpoint(path);
  ModelOptions options;
  // Dynamic NTK: transformers scales by the length at hand.
  if (name.find("dynamic") != std::string::npos) options.max_context = lengths[0];
  LoadedModel loaded = load_model(checkpoint, *backend, options);
  const std::optional<HeadKind> kind = head_of(checkpoint);
  std::optional<Head> head;
  if (kind) {
    head = Head::load(loaded, *kind, head_outputs(checkpoint, loaded, *kind));
  } else {
    finish_loading(loaded);
  }
  const ModelConfig& config = loaded.model->config();
  nn::KvCache kv(config.causal ? config.num_layers : 1, static_cast<int64_t>(packed.blocks.size()), config.kv_heads, config.head_dim,
                 KvType::kF32);
  std::vector<std::vector<float>> hidden;
  Observer observer;
  observer.hidden = [&](int layer, const TensorView& x) {
    ASSERT_EQ(static_cast<size_t>(layer), hidden.size());
    hidden.push_back(copy(x));
  };
  Arena arena;
  const ForwardContext ctx{*backend, arena, Compute::kExact, &observer};
  const TensorView final = loaded.model->forward(ctx, packed.batch(), kv);

  const auto C = static_cast<size_t>(config.hidden_size);
  ASSERT_EQ(hidden.size(), golden.num_layers());
  for (size_t i = 0; i < hidden.size(); ++i) {
    EXPECT_LE(worst_row(hidden[i], golden.values<float>("hidden." + std::to_string(i)), C), kTolerance) << "hidden " << i;
  }
  EXPECT_LE(worst_row(copy(final), golden.values<float>("final"), C), kTolerance) << "final";
  ASSERT_EQ(head.has_value(), golden.has("logits"));
  if (!head) return;
  std::vector<float> logits;
  for (const SequenceSpan& span : packed.spans) {
    const std::vector<float> rows = copy(head->forward(ctx, final.slice_rows(span.begin, span.end)));
    logits.insert(logits.end(), rows.begin(), rows.end());
  }
  // The choices of a question are one row: a single logit near zero has no relative error to speak of.
  const size_t columns = kind == HeadKind::kMultipleChoice ? logits.size() : static_cast<size_t>(head->outputs());
  EXPECT_LE(worst_row(logits, golden.values<float>("logits"), columns), kTolerance) << "logits";
}

TEST_P(GoldenModel, EqualsTransformers) {
  // In exact mode every kernel computes in fp32; an error is told with the file that caused it.
  ASSERT_NO_THROW(run());
}

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.model + "_" + info.param.backend;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(All, GoldenModel, testing::ValuesIn(cases()), case_name);

TEST(Goldens, EveryArchitectureHasOne) {
  for (const Architecture& architecture : architectures()) {
    const bool found = std::any_of(fs::directory_iterator(golden_folder()), fs::directory_iterator(), [&](const auto& entry) {
      if (!entry.is_directory()) return false;
      const json::value config = read_json(entry.path() / "config.json");
      return std::string_view(config.at("model_type").as_string()) == architecture.model_type;
    });
    EXPECT_TRUE(found) << architecture.model_type;
  }
}

}  // namespace
}  // namespace citius
