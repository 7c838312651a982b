// Measures between the outputs of two models: distributions over a vocabulary, and vectors. All sums in double.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace citius {

/// KL(softmax(reference) ‖ softmax(other)) in nats. Equal lengths, at least one finite logit in each.
double kl_divergence(std::span<const float> reference, std::span<const float> other);

/// ln softmax(logits)[index].
double log_softmax_at(std::span<const float> logits, int64_t index);

/// Index of the largest value, the first of several; any where one is NaN.
int64_t argmax(std::span<const float> values);

/// a·b / (‖a‖ ‖b‖); 1 where both are zero, 0 where one is.
double cosine(std::span<const float> a, std::span<const float> b);

}  // namespace citius
