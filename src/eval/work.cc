#include "eval/work.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/check.h"

namespace citius {
namespace {

std::string activation_name(Format format) {
  switch (format_activation(format)) {
    case ActivationFormat::kF32: return "f32";
    case ActivationFormat::kBF16: return "bf16";
    default: return "int8";
  }
}

// The name of the token embedding, and whether the language-model head multiplies by it.
bool head_is_tied(const Model& model) {
  const std::optional<HeadLayout> layout = model.head_layout(HeadKind::kCausalLm);
  return layout && !layout->steps.empty() && layout->steps.front().weight.empty();
}

}  // namespace

WeightTotals weight_totals(const Engine& engine) {
  WeightTotals totals;
  const Model& model = engine.model();
  const bool tied = model.config().causal && head_is_tied(model);
  const std::string& embedding = model.token_embedding().name();
  std::map<std::string, double> by_activation;
  std::set<std::string_view> seen;  // a head may have been loaded more than once
  for (const WeightRecord& record : engine.loaded.load.records) {
    if (!seen.insert(record.name).second) continue;
    const double parameters = static_cast<double>(record.rows) * static_cast<double>(record.cols);
    const double bytes = static_cast<double>(format_row_bytes(record.format, record.cols)) * static_cast<double>(record.rows);
    totals.parameters += parameters;
    totals.resident_bytes += bytes;
    if (record.looked_up && !(tied && record.name == embedding)) {
      totals.embedding_bytes += bytes;
      continue;
    }
    totals.streamed_bytes += bytes;
    totals.products += parameters;
    by_activation[engine.options.compute == Compute::kExact ? "f32" : activation_name(record.format)] += parameters;
    if (record.rows == model.config().vocab_size) totals.head_products += parameters;
  }
  double most = -1;
  for (const auto& [name, parameters] : by_activation) {
    if (parameters <= most) continue;
    most = parameters;
    totals.widest_activation = name;
  }
  return totals;
}

Work work_of(const Engine& engine, const Workload& workload) {
  const ModelConfig& config = engine.model().config();
  const WeightTotals totals = weight_totals(engine);
  const double kv = kv_bytes_per_token(config, engine.kv_type);
  // Scores and the weighted sum of values, a query against one key, in all layers.
  const double attention =
      4.0 * static_cast<double>(config.heads) * static_cast<double>(config.head_dim) * static_cast<double>(config.num_layers);
  const auto batch = static_cast<double>(workload.batch), length = static_cast<double>(workload.length);
  Work work;
  if (workload.kind == Workload::Kind::kDecode) {
    const double mean_past = static_cast<double>(workload.prompt) + (length + 1) / 2;
    work.bytes = length * (totals.streamed_bytes + batch * kv * mean_past);
    work.operations = length * batch * (2 * totals.products + attention * mean_past);
    return work;
  }
  for (const std::vector<int64_t>& lengths : workload.batches()) {
    double tokens = 0, pairs = 0;
    for (int64_t sequence : lengths) {
      const auto size = static_cast<double>(sequence);
      tokens += size;
      pairs += config.causal ? size * (size + 1) / 2 : size * size;
    }
    work.bytes += totals.streamed_bytes;
    work.operations += 2 * (totals.products - totals.head_products) * tokens +
                       2 * totals.head_products * static_cast<double>(lengths.size()) + attention * pairs;
  }
  return work;
}

}  // namespace citius
