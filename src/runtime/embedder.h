// Embedder: texts to vectors, as the checkpoint's sentence-transformers files say: length limit, pooling, dense layers,
// normalisation.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "heads/pooling.h"
#include "io/sentence_transformers.h"
#include "runtime/encoder.h"

namespace citius {

struct EmbedderOptions {
  int64_t dimensions = 0;  // keep the first N of them; 0: all
  bool normalize = false;  // divide by the length, after truncation, also where the model does not ask for it
  int64_t max_length = 0;  // tokens; 0: what the model says
  std::string pooling;     // as parse_pooling() names it; empty: what the model says
};

class Embedder {
 public:
  /// Throws Error{kInput} where the model has no tokenizer or its modules are not supported, Error{kUsage} for options that
  /// do not fit the model.
  explicit Embedder(Engine& engine, const EmbedderOptions& options = {});

  /// One vector [dimensions()] a text, in order. What each gives does not depend on the others. Throws
  /// Error{kFailed} where a vector is not finite.
  std::vector<std::vector<float>> embed(std::span<const std::string> texts);

  int64_t dimensions() const { return dimensions_; }
  /// Whether neither the model nor the options name a pooling: the mean is a guess.
  bool pooling_assumed() const { return pooling_assumed_; }
  /// Tokens that a text may have, special ones included.
  int64_t max_length() const { return max_length_; }
  /// For each text of the last call: how many of its tokens were cut off.
  const std::vector<size_t>& truncated() const { return truncated_; }

 private:
  struct Dense {
    nn::Linear linear;
    ActivationKind activation;
  };
  Dense load_dense(const SentenceTransformersConfig::Dense& dense);
  std::vector<float> finish(const ForwardContext& ctx, const TensorView& hidden) const;

  Engine& engine_;
  EmbedderOptions options_;
  Encoder encoder_;
  std::vector<PoolingMode> pooling_;
  bool pooling_assumed_ = false;
  std::vector<std::optional<Dense>> steps_;  // after the pooling; without a Dense: division by the length
  std::string prompt_;
  int64_t dimensions_ = 0;  // of the model
  int64_t max_length_ = 0;
  std::vector<size_t> truncated_;
};

}  // namespace citius
