#include "runtime/engine.h"

#include "base/error.h"
#include "runtime/load_tokenizer.h"

namespace citius {

Engine open_engine(const std::filesystem::path& path, const EngineOptions& options) {
  return open_engine(open_checkpoint(path), options);
}

Engine open_engine(Checkpoint checkpoint, const EngineOptions& options) {
  std::unique_ptr<Backend> backend = make_backend(options.backend, {options.num_threads, options.isa});
  std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(checkpoint);
  LoadedModel loaded = load_model(checkpoint, *backend, {options.policy, options.context});
  const auto vocab = static_cast<int64_t>(tokenizer != nullptr ? tokenizer->vocab_size() : 0);
  if (vocab > loaded.model->config().vocab_size) {
    fail_input(checkpoint.path.string(), "the tokenizer has {} tokens, the model's embedding only {}", vocab,
               loaded.model->config().vocab_size);
  }
  return {options, std::move(checkpoint), std::move(backend), std::move(tokenizer), std::move(loaded)};
}

}  // namespace citius
