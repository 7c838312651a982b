#include "nn/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace citius::nn {
namespace {

constexpr int64_t kMaxPositions = int64_t{1} << 24;

struct Frequencies {
  std::vector<double> inverse;  // [rotary / 2], radians per position
  double magnitude = 1;         // multiplies cos and sin
};

std::vector<double> plain(double theta, int64_t rotary) {
  std::vector<double> inverse(static_cast<size_t>(rotary / 2));
  for (size_t i = 0; i < inverse.size(); ++i) {
    inverse[i] = 1.0 / std::pow(theta, 2.0 * static_cast<double>(i) / static_cast<double>(rotary));
  }
  return inverse;
}

// Llama 3.1: long wavelengths are stretched, short ones kept, those between blended.
Frequencies llama3(const JsonObject& scaling, double theta, int64_t rotary, double max_positions) {
  Frequencies result{plain(theta, rotary)};
  const double factor = scaling.get_number("factor");
  const double low = scaling.get_number("low_freq_factor"), high = scaling.get_number("high_freq_factor");
  const double original = scaling.get_number("original_max_position_embeddings", max_positions);
  if (!(factor > 0) || !(high > low) || !(low > 0)) fail_input(scaling.where(), "llama3 factors are not increasing");
  for (double& inverse : result.inverse) {
    const double wavelength = 2 * std::numbers::pi / inverse;
    if (wavelength > original / low) {
      inverse /= factor;
    } else if (wavelength >= original / high) {
      const double smooth = (original / wavelength - low) / (high - low);
      inverse = (1 - smooth) * inverse / factor + smooth * inverse;
    }
  }
  return result;
}

// YaRN (Peng et al. 2023): interpolates by parts and sharpens attention.
Frequencies yarn(const JsonObject& scaling, double theta, int64_t rotary, double max_positions) {
  const double original = scaling.get_number("original_max_position_embeddings", max_positions);
  const double factor = scaling.get_number("factor", max_positions / original);
  // The referee takes zeros here as not given.
  const auto nonzero = [&](const char* key, double fallback) {
    const double value = scaling.get_number(key, 0);
    return value != 0 ? value : fallback;
  };
  const double beta_fast = nonzero("beta_fast", 32), beta_slow = nonzero("beta_slow", 1);
  const double mscale = nonzero("mscale", 0), mscale_all = nonzero("mscale_all_dim", 0);
  auto scale = [](double s, double m) { return s <= 1 ? 1.0 : 0.1 * m * std::log(s) + 1.0; };
  Frequencies result{plain(theta, rotary)};
  if (scaling.has("attention_factor")) {
    result.magnitude = scaling.get_number("attention_factor");
  } else if (mscale != 0 && mscale_all != 0) {
    result.magnitude = scale(factor, mscale) / scale(factor, mscale_all);
  } else {
    result.magnitude = scale(factor, 1);
  }
  result.magnitude *= scaling.get_number("gguf_attn_factor", 1);
  auto dimension = [&](double rotations) {
    return static_cast<double>(rotary) * std::log(original / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
  };
  double low = dimension(beta_fast), high = dimension(beta_slow);
  if (scaling.get_bool("truncate", true)) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rotary - 1));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < result.inverse.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    result.inverse[i] = result.inverse[i] / factor * ramp + result.inverse[i] * (1 - ramp);
  }
  return result;
}

Frequencies frequencies(const JsonObject& config, int64_t rotary, int64_t positions) {
  const double theta = config.get_number("rope_theta", 10000.0);
  if (!(theta > 1)) fail_input(config.where(), "rope_theta: got {}, expected more than 1", theta);
  if (!config.has("rope_scaling")) return {plain(theta, rotary)};
  const JsonObject scaling = config.get_object("rope_scaling");
  const std::string kind = scaling.get_string("rope_type", scaling.get_string("type", "default"));
  const double max_positions = config.get_number("max_position_embeddings", 2048);
  if (kind == "default") return {plain(theta, rotary)};
  if (kind == "llama3") return llama3(scaling, theta, rotary, max_positions);
  if (kind == "yarn") return yarn(scaling, theta, rotary, max_positions);
  if (kind == "linear") {
    Frequencies result{plain(theta, rotary)};
    for (double& inverse : result.inverse) inverse /= scaling.get_number("factor");
    return result;
  }
  if (kind == "dynamic") {
    const double factor = scaling.get_number("factor");
    const double length = std::max(static_cast<double>(positions), max_positions);
    const double base =
        theta * std::pow(factor * length / max_positions - (factor - 1), static_cast<double>(rotary) / static_cast<double>(rotary - 2));
    return {plain(base, rotary)};
  }
  fail_input(scaling.where(), "rope type '{}' is not supported, expected default, linear, dynamic, llama3 or yarn", kind);
}

}  // namespace

Rope::Rope(const JsonObject& config, int64_t rotary, int64_t positions, bool interleaved, std::span<const float> factors)
    : rotary_(rotary), positions_(positions), interleaved_(interleaved) {
  if (rotary < 2 || rotary % 2 != 0) fail_input(config.where(), "rotary size: got {}, expected an even number", rotary);
  Frequencies f = frequencies(config, rotary, positions);
  for (size_t i = 0; i < factors.size(); ++i) f.inverse[i] /= factors[i];
  for (double inverse : f.inverse) {
    if (!std::isfinite(inverse) || !std::isfinite(f.magnitude)) {
      fail_input(config.where(), "rope_scaling gives the frequency {} and the magnitude {}, expected finite numbers", inverse, f.magnitude);
    }
  }
  inverse_ = std::move(f.inverse);
  magnitude_ = f.magnitude;
}

void Rope::prepare(int64_t positions) const {
  const size_t half = inverse_.size();
  const size_t ready = cos_.size() / half;
  if (static_cast<size_t>(positions) <= ready) return;
  // Doubled, so that decoding token by token does not grow the tables at every step.
  const size_t rows = std::min(static_cast<size_t>(positions_), std::max(static_cast<size_t>(positions), std::max<size_t>(512, 2 * ready)));
  cos_.resize(rows * half);
  sin_.resize(rows * half);
  for (size_t p = ready; p < rows; ++p) {
    for (size_t i = 0; i < half; ++i) {
      // transformers forms the angle in fp32; following it keeps us within rounding of the referee at long positions.
      const float angle = static_cast<float>(p) * static_cast<float>(inverse_[i]);
      cos_[p * half + i] = static_cast<float>(std::cos(static_cast<double>(angle)) * magnitude_);
      sin_[p * half + i] = static_cast<float>(std::sin(static_cast<double>(angle)) * magnitude_);
    }
  }
}

int64_t Rope::max_positions(const JsonObject& config, int64_t trained) {
  if (!config.has("rope_scaling")) return trained;
  const JsonObject scaling = config.get_object("rope_scaling");
  const std::string kind = scaling.get_string("rope_type", scaling.get_string("type", "default"));
  if (kind != "dynamic" && kind != "yarn") return trained;
  const double from =
      kind == "yarn" ? scaling.get_number("original_max_position_embeddings", static_cast<double>(trained)) : static_cast<double>(trained);
  const double stretched = from * scaling.get_number("factor", 1.0);
  if (!(stretched <= static_cast<double>(kMaxPositions))) {
    fail_input(scaling.where(), "stretches to {} positions, expected at most {}", stretched, kMaxPositions);
  }
  return std::max(trained, static_cast<int64_t>(stretched));
}

Rotation Rope::rotation(std::span<const int32_t> positions) const {
  int64_t last = -1;
  for (int32_t position : positions) {
    CHECK(position >= 0 && position < positions_);
    last = std::max<int64_t>(last, position);
  }
  prepare(last + 1);
  return {positions.data(), cos_.data(), sin_.data(), rotary_, interleaved_};
}

}  // namespace citius::nn
