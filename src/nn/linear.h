// Linear layers. One weight, or several that share their input and are packed as one product where their formats agree.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "nn/load_context.h"
#include "ops/ops.h"

namespace citius::nn {

/// Name and size of one weight to load. An empty `bias` name means no bias.
struct LinearSpec {
  std::string weight;
  std::string bias;
  int64_t outputs = 0;
  bool transposed = false;  // stored [inputs, outputs]
};

/// y = act(x · Wᵀ + b) + residual.
class Linear {
 public:
  Linear() = default;
  static Linear load(LoadContext& load, const WeightSource& source, const LinearSpec& spec, int64_t inputs);
  /// Weights of one format stacked along the outputs; `bias` [N] or empty.
  static Linear pack(LoadContext& load, std::span<const PendingMatrix> parts, std::vector<float> bias);
  /// A Linear over a weight that already exists (tied embeddings).
  static Linear tied(std::shared_ptr<PackedWeight> weight, std::string name, std::vector<float> bias = {});

  /// x [T, K] → [T, N].
  TensorView forward(const ForwardContext& ctx, const LinearInput& x, ActivationKind activation = ActivationKind::kNone,
                     const TensorView& residual = {}) const;

  /// The same into y [T, N], which may be `residual` but must not overlap x.
  void forward_into(const ForwardContext& ctx, const LinearInput& x, const TensorView& y, const TensorView& residual = {}) const;

  int64_t inputs() const { return weight_->cols(); }
  int64_t outputs() const { return weight_->rows(); }
  const std::shared_ptr<PackedWeight>& weight() const { return weight_; }
  explicit operator bool() const { return weight_ != nullptr; }

 private:
  /// The input as the observer has seen it, or as it is where nobody watches.
  LinearInput observed(const ForwardContext& ctx, const LinearInput& x) const;
  const float* bias() const { return bias_.empty() ? nullptr : bias_.data(); }

  std::shared_ptr<PackedWeight> weight_;
  std::vector<float> bias_;  // [N] or empty
  std::vector<std::string> names_;
};

/// Weights with a common input (Q, K, V; gate and up). Those of one format become one product.
class LinearGroup {
 public:
  static constexpr size_t kMostParts = 3;
  /// One view for each spec, in order.
  class Views {
   public:
    const TensorView& operator[](size_t i) const { return views_[i]; }
    size_t size() const { return size_; }
    void add(const TensorView& view) {
      CHECK(size_ < kMostParts);
      views_[size_++] = view;
    }

   private:
    std::array<TensorView, kMostParts> views_;
    size_t size_ = 0;
  };

  LinearGroup() = default;
  /// At most kMostParts specs.
  static LinearGroup load(LoadContext& load, const WeightSource& source, const std::vector<LinearSpec>& specs, int64_t inputs);

  /// x [T, K] → views [T, N_i]; those of one product share a stride.
  Views forward(const ForwardContext& ctx, const LinearInput& x) const;

 private:
  std::vector<Linear> products_;
  std::vector<std::vector<int64_t>> widths_;  // for each product, the outputs of its parts
};

}  // namespace citius::nn
