// Reading what several architectures have in common from their configurations.
#pragma once

#include <string>

#include "base/error.h"
#include "base/json.h"
#include "backend/contract/activation.h"

namespace citius {

/// Names as transformers' ACT2FN has them.
inline ActivationKind parse_activation(const JsonObject& config, const std::string& name) {
  if (name == "gelu") return ActivationKind::kGelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") return ActivationKind::kGeluTanh;
  if (name == "quick_gelu") return ActivationKind::kQuickGelu;
  if (name == "relu") return ActivationKind::kRelu;
  if (name == "silu" || name == "swish") return ActivationKind::kSilu;
  if (name == "tanh") return ActivationKind::kTanh;
  if (name == "sigmoid") return ActivationKind::kSigmoid;
  fail_input(config.where(), "activation '{}' is not supported, expected gelu, gelu_new, quick_gelu, relu, silu or tanh", name);
}

/// A size that must be in [1, limit].
inline int64_t get_size(const JsonObject& config, std::string_view key, int64_t limit = int64_t{1} << 24) {
  const int64_t value = config.get_int(key);
  if (value < 1 || value > limit) fail_input(config.where(), "{}: got {}, expected 1 to {}", key, value, limit);
  return value;
}

}  // namespace citius
