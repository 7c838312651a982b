// Loops that are unrolled because their index is part of a type.
#pragma once

namespace citius::cpu::CITIUS_ISA_NAME {
namespace {

/// A number that is part of a type, so that it can be a template argument inside a generic lambda.
template <int kValue>
struct Index {
  static constexpr int value = kValue;
  constexpr operator int() const { return kValue; }  // NOLINT: implicit by design
};

/// body(Index<kBegin>), ... body(Index<kEnd - 1>). Always inlined, as a body must be that keeps vectors in registers: it has to say so
/// itself.
template <int kBegin, int kEnd, typename Body>
[[gnu::always_inline]] inline void unrolled(const Body& body) {
  if constexpr (kBegin < kEnd) {
    body(Index<kBegin>{});
    unrolled<kBegin + 1, kEnd>(body);
  }
}

}  // namespace
}  // namespace citius::cpu::CITIUS_ISA_NAME
