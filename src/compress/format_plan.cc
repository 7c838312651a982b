#include "compress/format_plan.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/ascii.h"
#include "base/error.h"
#include "io/gguf.h"

namespace citius {
namespace {

constexpr std::array<std::string_view, 4> kMixes = {"q4_k_s", "q4_k_m", "q5_k_s", "q5_k_m"};

std::vector<std::string_view> split(std::string_view name) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t dot = name.find('.');
    parts.push_back(name.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    name.remove_prefix(dot + 1);
  }
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

WeightKind kind_of(std::string_view name, bool in_layer) {
  if (!in_layer) {
    if (contains(name, "embd") || contains(name, "embed") || contains(name, "wte") || contains(name, "wpe")) {
      return WeightKind::kEmbedding;
    }
    if (name.starts_with("lm_head") || name.starts_with("output.")) return WeightKind::kOutput;
    return WeightKind::kOther;
  }
  if (contains(name, "attn") || contains(name, "attention") || contains(name, "Wqkv")) {
    // BERT calls the second half of its feed-forward layer "output.dense" and that of attention "attention.output.dense".
    return contains(name, "mlp") ? WeightKind::kFeedForward : WeightKind::kAttention;
  }
  return WeightKind::kFeedForward;
}

// The endings of all architectures, GGUF names first.
constexpr std::pair<std::string_view, WeightRole> kRoles[] = {
    {".attn_v.weight", WeightRole::kValue},    {".v_proj.weight", WeightRole::kValue},      {".self.value.weight", WeightRole::kValue},
    {".v_lin.weight", WeightRole::kValue},     {".attn.v.weight", WeightRole::kValue},      {".attn_qkv.weight", WeightRole::kFusedQkv},
    {".c_attn.weight", WeightRole::kFusedQkv}, {".Wqkv.weight", WeightRole::kFusedQkv},     {".ffn_down.weight", WeightRole::kDown},
    {".down_proj.weight", WeightRole::kDown},  {".mlp.c_proj.weight", WeightRole::kDown},   {".mlp.Wo.weight", WeightRole::kDown},
    {".ffn.lin2.weight", WeightRole::kDown},   {".output.dense.weight", WeightRole::kDown},
};

WeightRole role_of(std::string_view name, WeightKind kind) {
  for (const auto& [ending, role] : kRoles) {
    // BERT's attention has an "output.dense" too.
    if (name.ends_with(ending) && (role != WeightRole::kDown || kind == WeightKind::kFeedForward)) return role;
  }
  return WeightRole::kOther;
}

// llama.cpp gives the first and last eighth of the layers, and every third between, two more bits.
bool more_bits(int64_t layer, int64_t layers) { return layer < layers / 8 || layer >= 7 * layers / 8 || (layer - layers / 8) % 3 == 2; }

Format mixed_format(std::string_view mix, const WeightPlace& place, int64_t layers, bool output) {
  const bool four = mix.starts_with("q4");
  const Format base = four ? Format::kQ4K : Format::kQ5K;
  if (output) return Format::kQ6K;
  if (mix.ends_with("_m")) {
    if (place.role == WeightRole::kFusedQkv) return four ? Format::kQ5K : Format::kQ6K;
    return place.role != WeightRole::kOther && more_bits(place.layer, layers) ? Format::kQ6K : base;
  }
  if (four && place.role == WeightRole::kValue && place.layer < 4) return Format::kQ5K;
  if (four && place.role == WeightRole::kDown && place.layer < layers / 8) return Format::kQ5K;
  return base;
}

bool is_four_bit(Format format) {
  switch (format) {
    case Format::kInt4G32:
    case Format::kInt4G64:
    case Format::kInt4G128:
    case Format::kInt4ZG32:
    case Format::kInt4ZG64:
    case Format::kInt4ZG128: return true;
    default: return false;
  }
}

}  // namespace

WeightPlace place_of(std::string_view name) {
  WeightPlace place;
  const std::vector<std::string_view> parts = split(name);
  for (size_t i = 1; i < parts.size(); ++i) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), number);
    if (error != std::errc() || end != parts[i].data() + parts[i].size()) continue;
    place.layer = number;
    break;
  }
  place.kind = kind_of(name, place.layer >= 0);
  if (place.layer >= 0) place.role = role_of(name, place.kind);
  return place;
}

std::string_view kind_name(WeightKind kind) {
  switch (kind) {
    case WeightKind::kEmbedding: return "embedding";
    case WeightKind::kAttention: return "attention";
    case WeightKind::kFeedForward: return "feed-forward";
    case WeightKind::kOutput: return "output";
    case WeightKind::kOther: return "other";
  }
  return "other";
}

PlanTarget plan_target(const Model& model) {
  PlanTarget target;
  target.num_layers = model.config().num_layers;
  target.token_embedding = model.token_embedding().name();
  const std::optional<HeadLayout> layout = model.head_layout(HeadKind::kCausalLm);
  target.has_output = model.config().causal;
  target.tied_output = model.config().causal && layout && !layout->steps.empty() && layout->steps.front().weight.empty();
  return target;
}

Format fitting_format(Format wanted, int64_t cols) {
  while (cols % format_block_elements(wanted) != 0) {
    switch (wanted) {
      case Format::kInt8G128: wanted = Format::kInt8G64; break;
      case Format::kInt8G64: wanted = Format::kInt8G32; break;
      case Format::kInt4G128: wanted = Format::kInt4G64; break;
      case Format::kInt4G64: wanted = Format::kInt4G32; break;
      case Format::kInt4ZG128: wanted = Format::kInt4ZG64; break;
      case Format::kInt4ZG64: wanted = Format::kInt4ZG32; break;
      case Format::kQ2K:
      case Format::kQ3K:
      case Format::kIQ4XS: wanted = Format::kIQ4NL; break;
      case Format::kQ4K: wanted = Format::kQ5_0; break;
      case Format::kQ5K: wanted = Format::kQ5_1; break;
      case Format::kQ6K: wanted = Format::kQ8_0; break;
      default: return ggml_type_of(wanted) ? Format::kF16 : Format::kInt8;
    }
  }
  return wanted;
}

FormatPolicy make_policy(const FormatPlan& plan, const PlanTarget& target) {
  return [plan, target](const WeightRecord& record) {
    for (const std::string& pattern : plan.keep) {
      if (matches_glob(pattern, record.name)) return record.stored;
    }
    const WeightPlace place = place_of(record.name);
    const bool embedding = record.name == target.token_embedding;
    // Mixes give the embedding of a model without output layer what they give an output layer, as llama.cpp does.
    const bool output =
        place.kind == WeightKind::kOutput || (embedding && (target.tied_output || (!plan.mix.empty() && !target.has_output)));
    if (!output && place.layer < 0) {
      return embedding && plan.lookup ? fitting_format(*plan.lookup, record.cols) : record.stored;
    }
    if (!plan.mix.empty()) return fitting_format(mixed_format(plan.mix, place, target.num_layers, output), record.cols);
    std::optional<Format> format = output ? plan.output : plan.body;
    if (!output && plan.layers.contains(place.layer)) format = plan.layers.at(place.layer);
    return format ? fitting_format(*format, record.cols) : record.stored;
  };
}

FormatPlan plan_of_name(std::string_view given) {
  FormatPlan plan;
  plan.name = ascii_lower(std::string(given));  // llama.cpp writes Q4_K_M
  const std::string_view name = plan.name;
  if (std::find(kMixes.begin(), kMixes.end(), name) != kMixes.end()) {
    plan.mix = plan.name;
    plan.lookup = name.starts_with("q4") ? Format::kQ4K : Format::kQ5K;
    return plan;
  }
  const std::optional<Format> format = parse_format(name);
  if (!format || !can_encode(*format)) {
    std::string known;
    for (const std::string& other : plan_names()) known += (known.empty() ? "" : ", ") + other;
    fail(ErrorKind::kUsage, "format", "got '{}', expected one of {}", name, known);
  }
  plan.body = format;
  plan.output = is_four_bit(*format) ? Format::kInt8G32 : *format;
  return plan;
}

std::optional<uint32_t> gguf_file_type(const FormatPlan& plan) {
  // llama.cpp knows q2_k to q5_k in mixes only; those of the least exceptions stand for the pure formats.
  static const std::map<std::string_view, uint32_t> kNumbers = {
      {"f32", 0},     {"f16", 1},   {"q4_0", 2},    {"q4_1", 3},    {"q8_0", 7},    {"q5_0", 8},  {"q5_1", 9},
      {"q2_k", 10},   {"q3_k", 11}, {"q4_k", 14},   {"q4_k_s", 14}, {"q4_k_m", 15}, {"q5_k", 16}, {"q5_k_s", 16},
      {"q5_k_m", 17}, {"q6_k", 18}, {"iq4_nl", 25}, {"iq4_xs", 30}, {"bf16", 32},   {"mxfp4", 38}};
  const auto found = kNumbers.find(plan.name);
  return found == kNumbers.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> plan_names() {
  std::vector<std::string> names;
  for (Format format : all_formats()) {
    if (can_encode(format)) names.emplace_back(format_name(format));
  }
  for (std::string_view mix : kMixes) {
    if (can_encode(Format::kQ4K) && can_encode(Format::kQ6K)) names.emplace_back(mix);
  }
  return names;
}

bool matches_glob(std::string_view pattern, std::string_view name) {
  size_t p = 0, n = 0, star = std::string_view::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++p;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace citius
