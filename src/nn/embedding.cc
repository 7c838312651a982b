#include "nn/embedding.h"

#include "base/check.h"

namespace citius::nn {

Embedding Embedding::load(LoadContext& load, const WeightSource& source, const std::string& name, int64_t rows, int64_t channels) {
  Embedding embedding;
  const PendingMatrix matrix = load.find(source, name, rows, channels);
  embedding.weight_ = load.pack({&matrix, 1});
  embedding.name_ = source.full_name(name);
  load.records.back().looked_up = true;
  load.records.back().kernel = load.backend.explain(*embedding.weight_, load.compute).name;
  return embedding;
}

TensorView Embedding::forward(const ForwardContext& ctx, std::span<const int32_t> ids) const {
  const TensorView y = ctx.alloc({static_cast<int64_t>(ids.size()), weight_->cols()});
  ctx.backend.threads().parallel_for(std::ssize(ids), /*grain=*/8, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int32_t id = ids[static_cast<size_t>(t)];
      CHECK(id >= 0 && id < weight_->rows());
      weight_->decode(id, y.row(t));
    }
  });
  return y;
}

void Embedding::add_to(const ForwardContext& ctx, const TensorView& x, std::span<const int32_t> ids) const {
  Arena::Scope scope(ctx.arena);
  ops::add_in_place(ctx, x, forward(ctx, ids));
}

}  // namespace citius::nn
