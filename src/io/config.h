// One form of configuration for all sources: Hugging Face keys, rotary settings and dtype in the transformers 4 spelling.
#pragma once

#include <string>

#include "base/json.h"
#include "io/gguf.h"

namespace citius {

/// Brings config.json of transformers 5 (rope_parameters, dtype) into the form of transformers 4 (rope_theta, rope_scaling,
/// torch_dtype). Where a rotary setting is given twice, the one that transformers takes is kept. Rotary settings per layer type are left
/// as they are. Throws Error{kInput} where they are not well formed.
json::object normalize_config(json::object config, const std::string& where);

/// config.json keys made from GGUF metadata. Of an architecture that is not known only model_type is given.
json::object config_from_gguf(const GgufFile& gguf);
/// generation_config.json keys made from GGUF metadata: bos_token_id, eos_token_id (one or several), pad_token_id.
json::object generation_config_from_gguf(const GgufFile& gguf);

}  // namespace citius
