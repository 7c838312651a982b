// Weights of a given shape without a download: random values under the names that an architecture asks for. They make a
// bare config.json something whose speed can be measured.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace citius {

struct RandomTensor {
  std::string name;
  Shape shape;
};

/// The tensors, without those of heads, of the architecture that `config` names. Throws Error{kInput} where it is none of architectures(),
/// and where a size is missing, not positive or absurd.
std::vector<RandomTensor> tensors_of(const json::object& config, const std::string& where);

/// A container of those tensors: norms are ones, biases zeros, matrices normal with standard deviation 0.02, the same for
/// the same seed. Values are made when a tensor is read.
std::shared_ptr<const TensorContainer> random_weights(const json::object& config, const std::string& where, uint64_t seed);

/// The same tensors, all zero and without memory of their own, for looking at a configuration.
std::shared_ptr<const TensorContainer> zero_weights(const json::object& config, const std::string& where);

}  // namespace citius
