#include "search/sensitivity.h"

#include <algorithm>

namespace citius {

std::vector<std::pair<int64_t, double>> layer_sensitivity(const std::function<Engine(const FormatPlan&)>& open, QualityReference& reference,
                                                          const FormatPlan& coarse, int64_t num_layers, size_t num_items,
                                                          const OnProgress& progress, const std::function<bool()>& stop) {
  constexpr int64_t kMostGroups = 12;
  const int64_t group = (num_layers + kMostGroups - 1) / kMostGroups;
  std::vector<std::pair<int64_t, double>> harms;
  for (int64_t first = 0; first < num_layers && !stop(); first += group) {
    FormatPlan plan;
    const int64_t end = std::min(num_layers, first + group);
    for (int64_t layer = first; layer < end; ++layer) plan.layers[layer] = *coarse.body;
    Engine engine = open(plan);
    const Quality quality = reference.compare(engine, 0, num_items);
    const auto kl = quality.find("kl_mean");
    const double harm = kl != quality.end() ? kl->second.value : 1 - quality.at("cosine_mean").value;
    for (int64_t layer = first; layer < end; ++layer) harms.emplace_back(layer, harm);
    if (progress) progress(static_cast<double>(end) / static_cast<double>(num_layers));
  }
  std::stable_sort(harms.begin(), harms.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  return harms;
}

}  // namespace citius
