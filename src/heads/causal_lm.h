// The language-model head: hidden states to logits over the vocabulary.
#pragma once

#include "models/model.h"

namespace citius {

class CausalLmHead {
 public:
  /// Throws Error{kInput} where the architecture has no such head.
  static CausalLmHead load(LoadedModel& loaded);

  /// hidden [T, C] → logits [T, V].
  TensorView forward(const ForwardContext& ctx, const TensorView& hidden) const { return output_.forward(ctx, hidden); }
  int64_t vocab_size() const { return output_.outputs(); }
  const nn::Linear& output() const { return output_; }

 private:
  nn::Linear output_;
};

}  // namespace citius
