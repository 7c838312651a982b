#include "io/weight_source.h"

#include "base/error.h"

namespace citius {

WeightSource::WeightSource(std::shared_ptr<const TensorContainer> container)
    : container_(std::move(container)), used_(std::make_shared<std::set<std::string, std::less<>>>()) {}

WeightSource WeightSource::scope(std::string_view name) const {
  WeightSource scoped = *this;
  scoped.prefix_ = full_name(name) + ".";
  return scoped;
}

bool WeightSource::has(std::string_view name) const { return container_->has(full_name(name)); }

Shape WeightSource::shape(std::string_view name) const {
  const std::string full = full_name(name);
  if (!container_->has(full)) fail_input(container_->where(), "tensor '{}' is missing", full);
  return container_->shape(full);
}

bool WeightSource::is_float(std::string_view name) const {
  shape(name);
  return container_->is_float(full_name(name));
}

Format WeightSource::claim(std::string_view name, int64_t rows, int64_t cols) const {
  const std::string full = full_name(name);
  const Shape got = shape(name);
  if (got != Shape{rows, cols}) {
    fail_input(container_->where(), "tensor '{}': got shape {}, expected {}", full, got.str(), Shape({rows, cols}).str());
  }
  used_->insert(full);
  return container_->format(full);
}

OwnedMatrix WeightSource::matrix(std::string_view name, int64_t rows, int64_t cols) const {
  claim(name, rows, cols);
  return container_->matrix(full_name(name));
}

std::vector<float> WeightSource::vector(std::string_view name, int64_t size) const {
  const std::string full = full_name(name);
  const Shape got = shape(name);
  if (got != Shape{size}) {
    fail_input(container_->where(), "tensor '{}': got shape {}, expected {}", full, got.str(), Shape({size}).str());
  }
  used_->insert(full);
  const OwnedMatrix matrix = container_->matrix(full);
  std::vector<float> values(static_cast<size_t>(size));
  decode_row(matrix.matrix.format, matrix.matrix.data, size, values.data());
  return values;
}

void WeightSource::ignore(std::string_view name) const { used_->insert(full_name(name)); }

void WeightSource::ignore_suffix(std::string_view suffix) const {
  for (const std::string& name : container_->names()) {
    if (name.ends_with(suffix)) used_->insert(name);
  }
}

void WeightSource::finish() const {
  std::string extra;
  size_t count = 0;
  for (const std::string& name : container_->names()) {
    if (used_->contains(name)) continue;
    if (++count <= 5) extra += (extra.empty() ? "'" : ", '") + name + "'";
  }
  if (count > 0) {
    fail_input(container_->where(), "has {} tensors that this architecture does not know: {}{}; is config.json of another model?", count,
               extra, count > 5 ? ", ..." : "");
  }
  container_->drop_pages();
}

}  // namespace citius
