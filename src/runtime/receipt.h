// The receipt of a package: probe inputs, and what the scalar reference backend made of them from the same weights. Loading
// replays the probes with the kernels of this machine and refuses a model whose kernels disagree.
#pragma once

#include "base/json.h"
#include "runtime/engine.h"

namespace citius {

/// Makes the receipt of a model that was opened with the reference backend, in the formats that the package will have;
/// probe tokens depend on `seed` alone.
///
/// The tolerance is derived, not guessed. Kernels may differ from the reference in the rounding of fp32 sums: at most
/// 4 · layers · sqrt(longest sum) · 2^-24 of an output's length. Where activations are rounded to int8 or bf16 such a
/// difference can also tip a rounding the other way, and after some layers two runs round as if independently. Each is as far
/// from the exact mode as the reference's fast mode is, which is measured on the probes: twice that is added. Keys and values in bf16
/// move the reference's outputs, which is measured as well; kernels that multiply pairs of bf16 round queries and weights too, of
/// which there are as many and which move outputs as much: twice what was measured is added where keys and values are bf16.
json::object make_receipt(Engine& reference, uint64_t seed);

/// About how many seconds make_receipt takes: one of its tokens is timed.
double estimate_receipt_seconds(Engine& reference);

/// Replays a receipt in fast mode, with keys and values in bf16 where the engine keeps them so and the receipt tells what that changes,
/// else in fp32. Throws Error{kFailed} where an output is off by more than the tolerance, Error{kInput} where the
/// receipt itself is damaged.
void check_receipt(Engine& engine, const json::object& receipt);

}  // namespace citius
