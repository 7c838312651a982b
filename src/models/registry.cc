// The architectures, one line each, and how a model is loaded.
#include "base/error.h"
#include "models/architectures.h"
#include "models/model.h"

namespace citius {

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> list = {
      {"bert", load_bert},     {"distilbert", load_distilbert}, {"gpt2", load_gpt2},           {"llama", load_llama},
      {"mistral", load_llama}, {"modernbert", load_modernbert}, {"mpnet", load_mpnet},         {"qwen2", load_llama},
      {"qwen3", load_llama},   {"roberta", load_roberta},       {"xlm-roberta", load_roberta},
  };
  return list;
}

LoadedModel load_model(const Checkpoint& checkpoint, Backend& backend, const ModelOptions& options) {
  const std::string type = checkpoint.model_type();
  for (const Architecture& architecture : architectures()) {
    if (type != architecture.model_type) continue;
    if (checkpoint.weights == nullptr) {
      fail_input(checkpoint.path.string(), "has no weights, only a configuration; expected a directory with model.safetensors too");
    }
    LoadedModel loaded{nullptr,
                       WeightSource(checkpoint.weights),
                       {backend,
                        options.policy,
                        options.max_context,
                        options.compute,
                        {},
                        0,
                        options.packed_file ? options.packed_file() : nullptr,
                        {},
                        options.progress}};
    loaded.model = architecture.load(loaded.load, checkpoint, loaded.source);
    loaded.load.progress = nullptr;
    const int64_t longest = loaded.model->config().max_positions;
    if (options.max_context > longest) {
      fail(ErrorKind::kUsage, "--context", "got {}, expected at most {} (the positions that the model was made for)", options.max_context,
           longest);
    }
    if (options.max_context > 0) loaded.model->limit_positions(options.max_context);
    return loaded;
  }
  std::string known;
  for (const Architecture& architecture : architectures()) known += std::string(known.empty() ? "" : ", ") + architecture.model_type;
  fail_input(checkpoint.path.string(), "architecture '{}' is not supported, expected one of {}", type, known);
}

void LoadedModel::finish() {
  source.finish();
  if (load.packed_file != nullptr) load.packed_file->keep();
}

}  // namespace citius
