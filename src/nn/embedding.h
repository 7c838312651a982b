// Embedding tables: rows of a packed weight, decoded as they are looked up.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "nn/load_context.h"
#include "ops/ops.h"

namespace citius::nn {

class Embedding {
 public:
  Embedding() = default;
  static Embedding load(LoadContext& load, const WeightSource& source, const std::string& name, int64_t rows, int64_t channels);

  /// Rows of the table → [T, C]. Every id must be in [0, rows).
  TensorView forward(const ForwardContext& ctx, std::span<const int32_t> ids) const;
  /// x[t] += table[ids[t]].
  void add_to(const ForwardContext& ctx, const TensorView& x, std::span<const int32_t> ids) const;

  int64_t rows() const { return weight_->rows(); }
  const std::string& name() const { return name_; }
  const std::shared_ptr<PackedWeight>& weight() const { return weight_; }

 private:
  std::shared_ptr<PackedWeight> weight_;
  std::string name_;
};

}  // namespace citius::nn
