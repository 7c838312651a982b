#include "heads/causal_lm.h"

#include "base/error.h"

namespace citius {

CausalLmHead CausalLmHead::load(LoadedModel& loaded) {
  const Model& model = *loaded.model;
  const std::optional<HeadLayout> layout = model.head_layout(HeadKind::kCausalLm);
  if (!layout) {
    fail_input(loaded.source.container().where(), "{} has no language-model head, which generating and scoring text need",
               model.config().architecture);
  }
  const HeadStep& step = layout->steps.at(0);
  CausalLmHead head;
  if (step.weight.empty()) {
    head.output_ = nn::Linear::tied(model.token_embedding().weight(), model.token_embedding().name());
  } else {
    const nn::LinearSpec spec{step.weight + ".weight", step.bias, model.config().vocab_size};
    head.output_ = nn::Linear::load(loaded.load, loaded.source, spec, model.config().hidden_size);
  }
  return head;
}

}  // namespace citius
