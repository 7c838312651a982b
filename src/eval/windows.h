// How a long text becomes windows whose tokens are scored: the protocol of llama-perplexity and that of the Hugging Face
// documentation. Pure bookkeeping; running the model is eval/perplexity.h.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace citius {

/// Tokens that are run through a model together; those from index `first_scored` (1 or more) on are scored, each from
/// what stands before it.
struct ScoredSequence {
  std::vector<int32_t> tokens;
  int64_t first_scored = 1;

  int64_t num_scored() const { return static_cast<int64_t>(tokens.size()) - first_scored; }
};

/// llama-perplexity: windows of `context` tokens without overlap, an incomplete last one dropped; index context/2 + 1 to
/// context - 1 of each are scored. `bos` (where 0 or more) replaces the first token of every window.
std::vector<ScoredSequence> llama_windows(std::span<const int32_t> tokens, int64_t context, int32_t bos);

/// Hugging Face: windows of up to `context` tokens that begin every `stride`; each token of the text but the first is
/// scored once, in the first window that holds it. 1 <= stride <= context; a token that opens a window is scored from
/// nothing and therefore left out (only where stride == context).
std::vector<ScoredSequence> strided_windows(std::span<const int32_t> tokens, int64_t context, int64_t stride);

}  // namespace citius
