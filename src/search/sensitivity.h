// How much each layer suffers from a coarse format: the whole model as given but for that layer.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "compress/format_plan.h"
#include "eval/quality.h"

namespace citius {

/// {layer, harm}, most sensitive first; harm is kl_mean, or 1 - cosine_mean for encoders, over the first `num_items`
/// items. Stops early, with what it has, when `stop` says so. Models of more than 12 layers are measured in groups of
/// neighbours, whose layers share the group's harm.
std::vector<std::pair<int64_t, double>> layer_sensitivity(const std::function<Engine(const FormatPlan&)>& open, QualityReference& reference,
                                                          const FormatPlan& coarse, int64_t num_layers, size_t num_items,
                                                          const OnProgress& progress, const std::function<bool()>& stop);

}  // namespace citius
