// A model as a server under load (eval/load.h): decoders by continuous batching (runtime/scheduler.h), encoders by packing
// what waits up to a number of tokens. A decoder's result is a token; an encoder's are the hidden states of its body: pooling and
// the heads of tasks, which read them once, are no part of what is timed.
#pragma once

#include <memory>

#include "eval/load.h"
#include "runtime/engine.h"
#include "runtime/scheduler.h"

namespace citius {

struct ModelServerOptions {
  int64_t batch = 32;          // sequences at once, at most 512
  bool reuse_prefixes = true;  // decoders: keys and values of prompts that begin like earlier ones
};

class ModelServer : public LoadServer {
 public:
  /// `longest` is the tokens of the longest request with its reply; the model must take them, or Error{kInput}. Loads the
  /// language-model head of a decoder. Room for keys and values: `batch` of the longest, but no more than half the memory left
  /// holds, and one in any case.
  static std::unique_ptr<ModelServer> make(Engine& engine, int64_t longest, const ModelServerOptions& options);

  /// Forgets everything, what is cached too; step() then answers these requests, which must stay alive.
  virtual void reset(std::span<const LoadRequest> requests) = 0;
  /// Since reset().
  virtual Scheduler::Counters counters() const = 0;
  /// Tokens there is room for; 0 for an encoder.
  virtual int64_t kv_tokens() const = 0;
};

}  // namespace citius
