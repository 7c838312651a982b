#include "runtime/receipt.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "base/rng.h"
#include "runtime/decoder.h"
#include "runtime/encoder.h"
#include "runtime/sampler.h"

namespace citius {
namespace {

constexpr int64_t kVersion = 1;
constexpr size_t kProbes = 2, kProbeTokens = 8, kTopLogits = 32;
// What a receipt may ask for at most: it is a file like any other.
constexpr size_t kMostProbes = 16, kMostTokens = 64;

struct ProbeOutput {
  std::vector<float> hidden;  // [C] of the last token
  std::vector<int32_t> ids;   // of the largest logits
  std::vector<float> logits;  // theirs
};

// `ids` are the logits wanted; empty: the largest.
ProbeOutput run_probe(Engine& engine, Decoder* decoder, const std::vector<int32_t>& tokens, std::vector<int32_t> ids) {
  ProbeOutput output;
  if (decoder == nullptr) {
    Encoder encoder(engine);
    const EncoderInput input{tokens, {}};
    encoder.run({&input, 1}, [&](const ForwardContext&, size_t, const TensorView& hidden) {
      const float* row = hidden.row(hidden.rows() - 1);
      output.hidden.assign(row, row + hidden.shape[1]);
    });
    return output;
  }
  const int32_t sequence = decoder->create();
  const Decoder::Step step{sequence, tokens};
  const TensorView hidden = decoder->forward({&step, 1});
  const int64_t last = hidden.rows() - 1;
  output.hidden.assign(hidden.row(last), hidden.row(last) + hidden.shape[1]);
  const TensorView logits = decoder->logits(hidden, {&last, 1});
  if (ids.empty()) {
    const auto top = top_log_probabilities({logits.row(0), static_cast<size_t>(logits.shape[1])},
                                           static_cast<int64_t>(std::min<size_t>(kTopLogits, static_cast<size_t>(logits.shape[1]))));
    for (const auto& [id, logprob] : top) ids.push_back(id);
  }
  for (int32_t id : ids) output.logits.push_back(logits.row(0)[id]);
  output.ids = std::move(ids);
  decoder->release(sequence);
  return output;
}

// ‖a - b‖ / ‖b‖; infinite where anything is not finite.
double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
  double difference = 0, length = 0;
  for (size_t i = 0; i < b.size(); ++i) {
    difference += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    length += static_cast<double>(b[i]) * b[i];
  }
  const double error = std::sqrt(difference) / std::max(std::sqrt(length), 1e-30);
  return std::isfinite(error) ? error : INFINITY;
}

double error_of(const ProbeOutput& got, const ProbeOutput& expected) {
  const double hidden = relative_error(got.hidden, expected.hidden);
  return expected.logits.empty() ? hidden : std::max(hidden, relative_error(got.logits, expected.logits));
}

template <typename T>
json::array to_array(const std::vector<T>& values) {
  json::array array;
  for (T value : values) array.emplace_back(value);
  return array;
}

template <typename T>
std::vector<T> from_array(const JsonObject& object, std::string_view key, size_t most) {
  const json::array& array = object.get_array(key);
  if (array.size() > most) fail_input(object.where(), "'{}' has {} numbers, expected at most {}", key, array.size(), most);
  std::vector<T> values;
  for (const json::value& value : array) {
    if (!value.is_number()) fail_input(object.where(), "'{}' holds something that is not a number", key);
    const double number = value.to_number<double>();
    if (!std::isfinite(number) || std::abs(number) > 1e30 || (std::is_integral_v<T> && std::abs(number) > 1e9)) {
      fail_input(object.where(), "'{}' holds {}, out of range", key, number);
    }
    values.push_back(static_cast<T>(number));
  }
  return values;
}

int64_t longest_sum(const Engine& engine) {
  int64_t cols = 1;
  for (const WeightRecord& record : engine.loaded.load.records) cols = std::max(cols, record.cols);
  return cols;
}

// Runs the probes in one mode and with one type of keys and values, whatever the engine was opened for.
class Replay {
 public:
  Replay(Engine& engine, Compute compute, KvType kv_type)
      : engine_(engine), given_compute_(engine.options.compute), given_kv_type_(engine.kv_type) {
    engine.options.compute = compute;
    engine.kv_type = kv_type;
    if (engine.model().config().causal) decoder_ = std::make_unique<Decoder>(engine, static_cast<int64_t>(kMostTokens));
  }
  ~Replay() {
    engine_.options.compute = given_compute_;
    engine_.kv_type = given_kv_type_;
  }
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  // Null for an encoder.
  const Decoder* decoder() const { return decoder_.get(); }
  ProbeOutput run(const std::vector<int32_t>& tokens, std::vector<int32_t> ids) {
    return run_probe(engine_, decoder_.get(), tokens, std::move(ids));
  }

 private:
  Engine& engine_;
  const Compute given_compute_;
  const KvType given_kv_type_;
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace

json::object make_receipt(Engine& engine, uint64_t seed) {
  CHECK(engine.backend->name() == "ref");
  const ModelConfig& config = engine.model().config();
  const CounterRng rng(seed, /*stream=*/23);
  double rounding = 0, bf16_rounding = 0;
  uint64_t draw = 0;
  json::array probes;
  for (size_t i = 0; i < kProbes; ++i) {
    std::vector<int32_t> tokens;
    const auto length = std::min<size_t>(kProbeTokens, static_cast<size_t>(config.max_positions));
    while (tokens.size() < length) {
      tokens.push_back(static_cast<int32_t>(rng.bits(draw++) % static_cast<uint64_t>(config.vocab_size)));
    }
    const ProbeOutput fast = Replay(engine, Compute::kFast, KvType::kF32).run(tokens, {});
    rounding = std::max(rounding, error_of(Replay(engine, Compute::kExact, KvType::kF32).run(tokens, fast.ids), fast));
    bf16_rounding = std::max(bf16_rounding, error_of(Replay(engine, Compute::kFast, KvType::kBF16).run(tokens, fast.ids), fast));
    json::object probe;
    probe["tokens"] = to_array(tokens);
    probe["hidden"] = to_array(fast.hidden);
    if (config.causal) {
      probe["logit_ids"] = to_array(fast.ids);
      probe["logits"] = to_array(fast.logits);
    }
    probes.emplace_back(std::move(probe));
  }
  const double sums = 4.0 * static_cast<double>(config.num_layers) * std::sqrt(static_cast<double>(longest_sum(engine))) * 0x1p-24;
  json::object receipt;
  receipt["version"] = kVersion;
  receipt["made_by"] = "the scalar reference backend, fast mode of each format";
  receipt["tolerance"] = sums + 2 * rounding;
  receipt["bf16_keys_and_values"] = 2 * bf16_rounding;  // to be added
  receipt["probes"] = std::move(probes);
  return receipt;
}

double estimate_receipt_seconds(Engine& engine) {
  Replay replay(engine, Compute::kFast, KvType::kF32);
  const auto begin = std::chrono::steady_clock::now();
  replay.run({0}, {});
  const double token = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  constexpr double kModes = 3;
  return token * kModes * static_cast<double>(kProbes * kProbeTokens);
}

void check_receipt(Engine& engine, const json::object& object) {
  const std::string where = engine.checkpoint.path.string() + ": receipt";
  const JsonObject receipt(object, where);
  if (receipt.get_int("version") != kVersion) {
    fail_input(where, "got version {}, expected {}", receipt.get_int("version"), kVersion);
  }
  const KvType kv_type = engine.kv_type == KvType::kBF16 && receipt.has("bf16_keys_and_values") ? KvType::kBF16 : KvType::kF32;
  const double more = kv_type == KvType::kBF16 ? receipt.get_number("bf16_keys_and_values") : 0;
  if (!(more >= 0)) fail_input(where, "got a tolerance for keys and values of {}, expected 0 or more", more);
  const double tolerance = receipt.get_number("tolerance") + more;
  // A tolerance of the outputs' own length would accept anything.
  if (!(tolerance > 0 && tolerance < 1)) fail_input(where, "got a tolerance of {}, expected more than 0 and less than 1", tolerance);
  const json::array& probes = receipt.get_array("probes");
  if (probes.empty() || probes.size() > kMostProbes) fail_input(where, "got {} probes, expected 1 to {}", probes.size(), kMostProbes);
  const ModelConfig& config = engine.model().config();
  Replay replay(engine, Compute::kFast, kv_type);
  for (const json::value& value : probes) {
    const JsonObject probe(value, where);
    const std::vector<int32_t> tokens = from_array<int32_t>(probe, "tokens", kMostTokens);
    ProbeOutput expected;
    expected.hidden = from_array<float>(probe, "hidden", static_cast<size_t>(config.hidden_size));
    if (tokens.empty() || expected.hidden.size() != static_cast<size_t>(config.hidden_size)) {
      fail_input(where, "got {} tokens and {} outputs, expected 1 or more and {}", tokens.size(), expected.hidden.size(),
                 config.hidden_size);
    }
    if (replay.decoder() != nullptr) {
      expected.ids = from_array<int32_t>(probe, "logit_ids", 4096);
      expected.logits = from_array<float>(probe, "logits", 4096);
      const auto out_of_range = [&](int32_t id) { return id < 0 || id >= replay.decoder()->vocab_size(); };
      if (expected.ids.empty() || expected.ids.size() != expected.logits.size() ||
          std::any_of(expected.ids.begin(), expected.ids.end(), out_of_range)) {
        fail_input(where, "the logits and their ids do not fit the model");
      }
    }
    if (static_cast<int64_t>(tokens.size()) > config.max_positions) continue;  // prepared for shorter sequences
    const double error = error_of(replay.run(tokens, expected.ids), expected);
    if (!(error <= tolerance)) {
      fail(ErrorKind::kFailed, where,
           "the kernels of this machine ({}) disagree with the reference, got an error of {:.3g}, expected at most {:.3g}; the "
           "package is damaged or a kernel is wrong",
           engine.backend->isa(), error, tolerance);
    }
  }
}

}  // namespace citius
