#include "heads/head.h"

#include <array>
#include <cstring>
#include <ranges>
#include <utility>

#include "base/error.h"
#include "heads/pooling.h"
#include "tensor/finite.h"

namespace citius {
namespace {

constexpr std::array<std::pair<std::string_view, HeadKind>, 8> kSuffixes = {{
    {"ForSequenceClassification", HeadKind::kSequenceClassification},
    {"ForTokenClassification", HeadKind::kTokenClassification},
    {"ForQuestionAnswering", HeadKind::kQuestionAnswering},
    {"ForMultipleChoice", HeadKind::kMultipleChoice},
    {"ForMaskedLM", HeadKind::kMaskedLm},
    {"ForPreTraining", HeadKind::kMaskedLm},
    {"ForCausalLM", HeadKind::kCausalLm},
    {"LMHeadModel", HeadKind::kCausalLm},
}};

nn::Linear tied_linear(const LoadedModel& loaded, const std::string& bias) {
  const nn::Embedding& embedding = loaded.model->token_embedding();
  std::vector<float> values;
  if (!bias.empty()) values = loaded.source.vector(bias, embedding.rows());
  return nn::Linear::tied(embedding.weight(), embedding.name(), std::move(values));
}

}  // namespace

std::optional<HeadKind> head_of(const Checkpoint& checkpoint) {
  const JsonObject config(checkpoint.config, checkpoint.path.string());
  if (config.has("architectures")) {
    for (const std::string& name : config.get_strings("architectures")) {
      for (const auto& [suffix, kind] : kSuffixes) {
        if (name.ends_with(suffix)) return kind;
      }
    }
    return std::nullopt;
  }
  if (checkpoint.is_gguf() && checkpoint.model_type() != "bert") return HeadKind::kCausalLm;
  return std::nullopt;
}

std::string_view head_name(HeadKind kind) {
  switch (kind) {
    case HeadKind::kCausalLm: return "causal language model";
    case HeadKind::kMaskedLm: return "masked language model";
    case HeadKind::kSequenceClassification: return "sequence classification";
    case HeadKind::kTokenClassification: return "token classification";
    case HeadKind::kQuestionAnswering: return "question answering";
    case HeadKind::kMultipleChoice: return "multiple choice";
  }
  return "";
}

void finish_loading(LoadedModel& loaded, std::optional<HeadKind> unread) {
  if (unread) {
    const HeadLayout layout = loaded.model->head_layout(*unread).value_or(HeadLayout());
    for (const HeadStep& step : layout.steps) {
      if (!step.weight.empty()) loaded.source.ignore(step.weight + ".weight");
      if (!step.bias.empty()) loaded.source.ignore(step.bias);
    }
    for (const std::string& name : layout.copies) loaded.source.ignore(name);
  }
  for (const std::string& pattern : loaded.model->pretraining_tensors()) {
    for (const std::string& name : loaded.source.container().names()) {
      const bool matches = pattern.ends_with('.') ? name.starts_with(pattern) : name == pattern;
      if (matches) loaded.source.ignore(name);
    }
  }
  loaded.finish();
}

Head Head::load(LoadedModel& loaded, HeadKind kind, int64_t outputs) {
  const Model& model = *loaded.model;
  const WeightSource& source = loaded.source;
  const std::string where = source.container().where();
  const std::optional<HeadLayout> layout = model.head_layout(kind);
  if (!layout) fail_input(where, "{} has no head for {}", model.config().architecture, head_name(kind));
  const int64_t C = model.config().hidden_size;
  Head head;
  head.where_ = where;
  head.pooling_ = layout->pooling;
  // The last step with a weight of its own tells: a pooler before it belongs to other tasks too.
  for (const HeadStep& step : std::views::reverse(layout->steps)) {
    if (step.optional || step.weight.empty()) continue;
    if (source.has(step.weight + ".weight")) break;
    fail_input(where, "has no {} head: tensor '{}.weight' is missing; was the model made for another task?", head_name(kind), step.weight);
  }
  for (size_t i = 0; i < layout->steps.size(); ++i) {
    const HeadStep& step = layout->steps[i];
    if (step.optional && !source.has(step.weight + ".weight")) continue;
    const bool last = i + 1 == layout->steps.size();
    Step loaded_step;
    loaded_step.activation = step.activation;
    if (step.kind == HeadStep::Kind::kNorm) {
      loaded_step.norm = nn::Norm::load(source, step.weight, C, layout->norm_kind, layout->norm_epsilon, !step.bias.empty());
    } else if (step.weight.empty()) {
      loaded_step.linear = tied_linear(loaded, step.bias);
    } else {
      loaded_step.linear = nn::Linear::load(loaded.load, source, {step.weight + ".weight", step.bias, last ? outputs : C}, C);
    }
    head.steps_.push_back(std::move(loaded_step));
  }
  head.outputs_ = outputs;
  for (const std::string& name : layout->copies) source.ignore(name);
  finish_loading(loaded);
  return head;
}

TensorView Head::forward(const ForwardContext& ctx, const TensorView& hidden) const {
  TensorView x = hidden;
  if (pooling_ == HeadLayout::Pooling::kFirst) {
    x = hidden.slice_rows(0, 1);
  } else if (pooling_ == HeadLayout::Pooling::kMean) {
    x = ctx.alloc({1, hidden.shape[1]});
    pool(PoolingMode::kMean, hidden, x.row(0));
  }
  for (const Step& step : steps_) {
    x = step.linear ? step.linear.forward(ctx, x, step.activation) : step.norm.forward(ctx, x);
  }
  require_finite(x, where_, "outputs of the head");
  return x;
}

}  // namespace citius
