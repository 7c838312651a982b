#include "io/quantization_config.h"

#include <map>

#include "io/package_codec.h"

namespace citius {
namespace {

json::object weight_scheme(Format format) {
  const int64_t group = group_size(format);
  const bool four_bits = is_int4_group(format) || is_int4_zero_group(format);
  json::object scheme{{"num_bits", four_bits ? 4 : 8},
                      {"type", "int"},
                      {"symmetric", !is_int4_zero_group(format)},
                      {"strategy", group > 0 ? "group" : "channel"},
                      {"dynamic", false}};
  if (group > 0) {
    scheme["group_size"] = group;
  } else {
    scheme["group_size"] = nullptr;
  }
  return scheme;
}

// What int8 does to its inputs. compressed-tensors takes int8 weights without it for packed ones.
json::value activation_scheme(Format format) {
  if (!format_is_per_row(format)) return nullptr;
  return json::object{{"num_bits", 8}, {"type", "int"}, {"symmetric", true}, {"strategy", "token"}, {"dynamic", true}};
}

}  // namespace

std::optional<json::object> compressed_tensors_config(const std::vector<QuantizedWeight>& weights) {
  if (weights.empty()) return std::nullopt;
  std::map<Format, json::array> targets;
  bool four_bits = false, eight_bits = false;
  for (const QuantizedWeight& weight : weights) {
    const bool eight = format_is_per_row(weight.format) || is_int8_group(weight.format);
    if (!eight && group_size(weight.format) == 0) return std::nullopt;
    if (weight.transposed || !weight.name.ends_with(".weight")) return std::nullopt;
    (eight ? eight_bits : four_bits) = true;
    targets[weight.format].emplace_back(weight.name.substr(0, weight.name.size() - std::string_view(".weight").size()));
  }
  if (four_bits && eight_bits) return std::nullopt;
  json::object groups;
  for (auto& [format, names] : targets) {
    groups["group_" + std::to_string(groups.size())] = {{"targets", std::move(names)},
                                                        {"weights", weight_scheme(format)},
                                                        {"input_activations", activation_scheme(format)},
                                                        {"output_activations", nullptr},
                                                        {"format", four_bits ? "pack-quantized" : "int-quantized"}};
  }
  return json::object{{"quant_method", "compressed-tensors"},
                      {"format", four_bits ? "pack-quantized" : "int-quantized"},
                      {"quantization_status", "compressed"},
                      {"config_groups", std::move(groups)},
                      {"ignore", json::array{}}};
}

}  // namespace citius
