// Which format every weight of a model shall have: one for the body, finer ones for chosen layers, one for the output layer.
// A plan is a value with a name; policy() turns it into what the loader asks.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/model.h"

namespace citius {

/// What a weight is for, told from its name in the checkpoint (Hugging Face or GGUF).
enum class WeightKind { kEmbedding, kAttention, kFeedForward, kOutput, kOther };

/// What mixes tell apart within a layer: the values of attention, queries, keys and values in one matrix, and the second (or
/// third) matrix of the feed-forward part.
enum class WeightRole { kValue, kFusedQkv, kDown, kOther };

struct WeightPlace {
  WeightKind kind = WeightKind::kOther;
  int64_t layer = -1;  // -1 outside the layers
  WeightRole role = WeightRole::kOther;
};
WeightPlace place_of(std::string_view name);
std::string_view kind_name(WeightKind kind);  // "embedding", "attention", "feed-forward", "output", "other"

/// What a plan must know of the model it is for.
struct PlanTarget {
  int64_t num_layers = 0;
  bool tied_output = false;     // the token embedding is also the output layer
  std::string token_embedding;  // its name
  bool has_output = true;       // there is an output layer over the vocabulary, tied or not
};

struct FormatPlan {
  std::string name;                                 // as reports call it
  std::optional<Format> body;                       // layers; none: as given
  std::optional<Format> output;                     // language-model head (and token embedding where tied); none: as given
  std::optional<Format> lookup;                     // token embedding that no product reads; none: as given
  std::map<int64_t, std::optional<Format>> layers;  // exceptions; none: as given
  std::vector<std::string> keep;                    // globs over names: these stay as given
  std::string mix;                                  // a mix of GGUF types that llama.cpp names (q4_k_m, ...), or empty
};

PlanTarget plan_target(const Model& model);

/// The format of a weight that cannot have `wanted` because its rows are no multiple of the block: smaller groups of the
/// same kind, then int8 per channel; for GGUF types what llama.cpp falls back to, F16 in the end.
Format fitting_format(Format wanted, int64_t cols);

/// The policy of a plan. Look-up tables, positions and small task heads stay as given.
FormatPolicy make_policy(const FormatPlan& plan, const PlanTarget& target);

/// The plan of `--format NAME`: any format that can be written, or a mix (q4_k_m, q4_k_s, q5_k_m, q5_k_s). The output
/// layer of 4-bit plans is int8-g32: it is the most sensitive matrix. Throws Error{kUsage} for an unknown name.
FormatPlan plan_of_name(std::string_view name);
/// llama.cpp's number (llama_ftype, "general.file_type") of a plan of plan_of_name; nullopt where it has none.
std::optional<uint32_t> gguf_file_type(const FormatPlan& plan);
/// Names that plan_of_name takes.
std::vector<std::string> plan_names();

/// True where `name` matches `pattern`, in which * stands for any characters.
bool matches_glob(std::string_view pattern, std::string_view name);

}  // namespace citius
