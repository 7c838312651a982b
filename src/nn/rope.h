// Tables of rotary position embeddings, with the scalings that model configurations name: none, linear, dynamic NTK, llama3
// and YaRN.
#pragma once

#include <span>
#include <vector>

#include "base/json.h"
#include "ops/ops.h"

namespace citius::nn {

class Rope {
 public:
  Rope() = default;
  /// `config` is the model's configuration (rope_theta, rope_scaling, max_position_embeddings); `positions` is
  /// the length of the longest sequence. `factors` [rotary / 2], where given, divide the frequencies (llama3 scaling as GGUF files carry
  /// it). Dynamic NTK scales for a sequence of `positions` tokens, whatever the length of the one at hand, so that a token's values never
  /// change as its sequence grows.
  Rope(const JsonObject& config, int64_t rotary, int64_t positions, bool interleaved, std::span<const float> factors = {});

  /// The longest sequence that a model of `trained` positions is good for: scalings that stretch beyond it (dynamic NTK by
  /// its factor, YaRN by the factor from the original length) allow more.
  static int64_t max_positions(const JsonObject& config, int64_t trained);

  explicit operator bool() const { return rotary_ > 0; }
  int64_t positions() const { return positions_; }
  /// The angles of tokens at `positions`, valid until the next call. Calls must not come from two threads at once: the tables grow with the
  /// longest sequence seen, because a configuration may name millions of positions that nobody uses.
  Rotation rotation(std::span<const int32_t> positions) const;

 private:
  int64_t rotary_ = 0;
  int64_t positions_ = 0;
  bool interleaved_ = false;
  std::vector<double> inverse_;  // [rotary / 2] frequencies
  double magnitude_ = 1;
  mutable std::vector<float> cos_;  // [positions so far, rotary / 2]
  mutable std::vector<float> sin_;

  void prepare(int64_t positions) const;
};

}  // namespace citius::nn
