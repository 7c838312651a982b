// Counter-based random numbers: the i-th number of a seed is a function of seed and i alone, so that what else runs, or how
// work is batched, never changes a result. SplitMix64 (Steele et al. 2014) as the mixing function.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

namespace citius {

inline uint64_t mix64(uint64_t x) {
  x += 0x9e3779b97f4a7c15ull;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

class CounterRng {
 public:
  explicit CounterRng(uint64_t seed, uint64_t stream = 0) : key_(mix64(mix64(seed) ^ stream)) {}

  uint64_t bits(uint64_t index) const { return mix64(key_ + 0xd1342543de82ef95ull * (index + 1)); }
  /// In [0, 1), 53 random bits.
  double uniform(uint64_t index) const { return static_cast<double>(bits(index) >> 11) * 0x1.0p-53; }
  /// Standard normal (Box and Muller).
  double normal(uint64_t index) const {
    const double u = 1.0 - uniform(2 * index), v = uniform(2 * index + 1);
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
  }

 private:
  uint64_t key_;
};

}  // namespace citius
