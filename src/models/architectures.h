// The loaders that registry.cc lists.
#pragma once

#include "models/model.h"

namespace citius {

std::unique_ptr<Model> load_bert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source);
std::unique_ptr<Model> load_llama(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source);

}  // namespace citius
