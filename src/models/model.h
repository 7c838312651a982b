// Model: what every architecture offers. One file an architecture: its configuration, its tensor names (Hugging Face and
// GGUF) and its forward pass; registry.cc lists them.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "nn/attention.h"
#include "nn/embedding.h"
#include "nn/kv_cache.h"
#include "nn/linear.h"
#include "nn/load_context.h"
#include "nn/norm.h"

namespace citius {

/// What the runtime needs to know of any architecture.
struct ModelConfig {
  std::string architecture;  // model_type
  int64_t hidden_size = 0;
  int64_t num_layers = 0;
  int64_t vocab_size = 0;
  int64_t max_positions = 0;  // longest sequence, special tokens included
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  int64_t intermediate_size = 0;
  int64_t token_types = 0;  // kinds of segments that the model tells apart; 0: none
  bool causal = false;      // a decoder: keys and values of all layers are cached
};

/// Packed sequences without padding.
struct Batch {
  std::span<const int32_t> tokens;       // [T]
  std::span<const int32_t> positions;    // [T] 0-based place of each token in its sequence
  std::span<const int32_t> token_types;  // [T], or empty for all zero
  std::span<const SequenceSpan> sequences;
};

/// The output layers of a task, from hidden states [T, C] on, as an architecture names them.
struct HeadStep {
  enum class Kind { kLinear, kNorm } kind = Kind::kLinear;
  std::string weight;  // name in the checkpoint without ".weight"; empty: the token embedding (tied)
  std::string bias;    // full name of the bias; empty where there is none
  ActivationKind activation = ActivationKind::kNone;
  bool optional = false;  // left out where the checkpoint has no such weight
};

enum class HeadKind {
  kCausalLm,
  kMaskedLm,
  kSequenceClassification,
  kTokenClassification,
  kQuestionAnswering,
  kMultipleChoice,
};

struct HeadLayout {
  std::vector<HeadStep> steps;
  /// How a sequence becomes one row before the steps: the first token, the mean, or no pooling (a row per token).
  enum class Pooling { kNone, kFirst, kMean } pooling = Pooling::kNone;
  double norm_epsilon = 1e-5;
  NormKind norm_kind = NormKind::kLayerNorm;
  std::vector<std::string> copies;  // full names of tensors that repeat tied ones and are not read
};

class Model {
 public:
  virtual ~Model() = default;

  const ModelConfig& config() const { return config_; }

  /// Hidden states [T, C] after the last layer (and the final norm, where the architecture has one). Tokens and positions
  /// must be in range. Reads and writes `kv` at the blocks that the sequences name.
  virtual TensorView forward(const ForwardContext& ctx, const Batch& batch, nn::KvCache& kv) const = 0;

  /// The token embedding, for tied output layers.
  virtual const nn::Embedding& token_embedding() const = 0;
  /// How this architecture lays out a task's output layers; nullopt where it has no such head.
  virtual std::optional<HeadLayout> head_layout(HeadKind kind) const = 0;
  /// Output layers that pre-training leaves in checkpoints: names, or prefixes that end in a dot. A use that does not
  /// read them may leave them; any other tensor that nobody asked for is an error.
  virtual std::vector<std::string> pretraining_tensors() const = 0;

  /// Takes no sequence longer than `positions` from now on.
  void limit_positions(int64_t positions) { config_.max_positions = std::min(config_.max_positions, positions); }

 protected:
  ModelConfig config_;
};

struct ModelOptions {
  FormatPolicy policy;      // empty keeps every weight as given
  int64_t max_context = 0;  // 0: as long as the model allows
  Compute compute = Compute::kFast;
  /// Where packed weights are found and kept; empty, or gives null: weights are packed at every start. Asked once the architecture is
  /// known.
  std::function<std::shared_ptr<PackedFile>()> packed_file = {};
  Progress* progress = nullptr;  // told the weights read so far
};

/// What load_model gives: the model and its open weights, so that a head can be loaded from them too. finish() is left to
/// whoever loads the head.
struct LoadedModel {
  std::unique_ptr<Model> model;
  WeightSource source;
  LoadContext load;

  /// Says that all was loaded that will be: WeightSource::finish(), and packed weights are kept for the next start.
  void finish();
};

/// Loads the body of the architecture that checkpoint.config names. Throws Error{kInput}.
LoadedModel load_model(const Checkpoint& checkpoint, Backend& backend, const ModelOptions& options = {});

/// One entry of the registry.
struct Architecture {
  const char* model_type;
  std::unique_ptr<Model> (*load)(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source);
};
const std::vector<Architecture>& architectures();

}  // namespace citius
