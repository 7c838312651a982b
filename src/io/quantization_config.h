// config.json's "quantization_config" in the form of compressed-tensors, where our formats fit it, so that other tools can
// load a package.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "quant/format.h"

namespace citius {

struct QuantizedWeight {
  std::string name;  // full tensor name
  Format format = Format::kF32;
  bool transposed = false;
};

/// nullopt where nothing is quantized or where one weight does not fit: a GGUF format, a transposed weight, or int8 beside
/// int4 (one storage form a model).
std::optional<json::object> compressed_tensors_config(const std::vector<QuantizedWeight>& weights);

}  // namespace citius
