// The output layers of a task: hidden states of one sequence to logits. Model::head_layout says how an architecture lays
// them out; nothing here knows one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/model.h"

namespace citius {

/// The task that config.json "architectures" names (BertForSequenceClassification, ...); a GGUF decoder is a causal
/// language model. nullopt for a bare body.
std::optional<HeadKind> head_of(const Checkpoint& checkpoint);
/// For messages: "sequence classification".
std::string_view head_name(HeadKind kind);

/// Checks that every tensor was read. Output layers of pre-training (masked-LM head, pooler, untied lm_head) may be left
/// over, and those of the head `unread`; anything else that nobody read is an error that names it. For uses of the hidden states
/// alone; Head::load calls it.
void finish_loading(LoadedModel& loaded, std::optional<HeadKind> unread = {});

class Head {
 public:
  /// Loads the head from the model's open weights and finishes loading. `outputs` is the width that the configuration
  /// promises (labels; 2 for question answering; 1 for multiple choice; the vocabulary for language models). Throws
  /// Error{kInput} where the architecture or the checkpoint has no such head.
  static Head load(LoadedModel& loaded, HeadKind kind, int64_t outputs);

  /// hidden [T, C] of one sequence → logits [1, N] where the task pools, otherwise [T, N]. Throws Error{kFailed} where they are
  /// not finite.
  TensorView forward(const ForwardContext& ctx, const TensorView& hidden) const;
  bool pools() const { return pooling_ != HeadLayout::Pooling::kNone; }
  int64_t outputs() const { return outputs_; }

 private:
  struct Step {
    nn::Linear linear;  // or
    nn::Norm norm;
    ActivationKind activation = ActivationKind::kNone;
  };
  HeadLayout::Pooling pooling_ = HeadLayout::Pooling::kNone;
  std::vector<Step> steps_;
  std::string where_;  // the weights, for messages
  int64_t outputs_ = 0;
};

}  // namespace citius
