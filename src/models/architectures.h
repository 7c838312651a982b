// The loaders that registry.cc lists.
#pragma once

#include "models/model.h"

namespace citius {

std::unique_ptr<Model> load_bert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source);
std::unique_ptr<Model> load_distilbert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source);
std::unique_ptr<Model> load_gpt2(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source);
std::unique_ptr<Model> load_llama(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source);
std::unique_ptr<Model> load_modernbert(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source);
std::unique_ptr<Model> load_mpnet(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source);
std::unique_ptr<Model> load_roberta(LoadContext& load, const Checkpoint& checkpoint, const WeightSource& source);

}  // namespace citius
