#include "nn/linear.h"

#include <utility>

#include "base/check.h"

namespace citius::nn {
namespace {

std::vector<float> load_bias(const WeightSource& source, const LinearSpec& spec) {
  return spec.bias.empty() ? std::vector<float>() : source.vector(spec.bias, spec.outputs);
}

}  // namespace

Linear Linear::load(LoadContext& load, const WeightSource& source, const LinearSpec& spec, int64_t inputs) {
  const PendingMatrix matrix = load.find(source, spec.weight, spec.outputs, inputs, spec.transposed);
  return pack(load, {&matrix, 1}, load_bias(source, spec));
}

Linear Linear::pack(LoadContext& load, std::span<const PendingMatrix> parts, std::vector<float> bias) {
  Linear linear;
  linear.weight_ = load.pack(parts);
  linear.bias_ = std::move(bias);
  for (const PendingMatrix& part : parts) linear.names_.push_back(part.name);
  const std::string kernel = load.backend.explain(*linear.weight_, load.compute).name;
  for (WeightRecord& record : load.records) {
    for (const std::string& name : linear.names_) {
      if (record.name == name) record.kernel = kernel;
    }
  }
  return linear;
}

Linear Linear::tied(std::shared_ptr<PackedWeight> weight, std::string name, std::vector<float> bias) {
  Linear linear;
  linear.weight_ = std::move(weight);
  linear.bias_ = std::move(bias);
  linear.names_ = {std::move(name)};
  return linear;
}

LinearInput Linear::observed(const ForwardContext& ctx, const LinearInput& x) const {
  if (ctx.observer == nullptr || !ctx.observer->linear_input) return x;
  const TensorView seen = ops::evaluate(ctx, x);
  for (const std::string& name : names_) ctx.observer->linear_input(name, seen);
  return seen;
}

TensorView Linear::forward(const ForwardContext& ctx, const LinearInput& x, ActivationKind activation, const TensorView& residual) const {
  return ops::linear(ctx, observed(ctx, x), *weight_, bias(), activation, residual);
}

void Linear::forward_into(const ForwardContext& ctx, const LinearInput& x, const TensorView& y, const TensorView& residual) const {
  ops::linear_into(ctx, observed(ctx, x), *weight_, bias(), ActivationKind::kNone, residual, y);
}

LinearGroup LinearGroup::load(LoadContext& load, const WeightSource& source, const std::vector<LinearSpec>& specs, int64_t inputs) {
  CHECK(specs.size() <= kMostParts);
  LinearGroup group;
  std::vector<PendingMatrix> parts;
  std::vector<float> bias;
  std::vector<int64_t> widths;
  int64_t width = 0;
  bool has_bias = false;
  auto finish = [&] {
    if (parts.empty()) return;
    bias.resize(has_bias ? static_cast<size_t>(width) : 0);
    group.products_.push_back(Linear::pack(load, parts, std::exchange(bias, {})));
    group.widths_.push_back(std::exchange(widths, {}));
    parts.clear();
    width = 0;
    has_bias = false;
  };
  for (const LinearSpec& spec : specs) {
    PendingMatrix matrix = load.find(source, spec.weight, spec.outputs, inputs, spec.transposed);
    if (!parts.empty() && parts.back().size.format != matrix.size.format) finish();
    parts.push_back(std::move(matrix));
    widths.push_back(spec.outputs);
    // Parts without a bias get zeros where another part has one (GLM and Phi style checkpoints mix them).
    bias.resize(static_cast<size_t>(width));
    const std::vector<float> own = load_bias(source, spec);
    has_bias = has_bias || !own.empty();
    bias.insert(bias.end(), own.begin(), own.end());
    width += spec.outputs;
  }
  finish();
  return group;
}

LinearGroup::Views LinearGroup::forward(const ForwardContext& ctx, const LinearInput& x) const {
  Views views;
  const LinearInput input = products_.size() > 1 ? ops::evaluate(ctx, x) : x;  // computed once for all
  for (size_t i = 0; i < products_.size(); ++i) {
    const TensorView y = products_[i].forward(ctx, input);
    int64_t begin = 0;
    for (int64_t width : widths_[i]) {
      views.add(y.slice_columns(begin, begin + width));
      begin += width;
    }
  }
  return views;
}

}  // namespace citius::nn
