// A package on other hardware: what its claim is worth there.
#pragma once

#include <string>

#include "base/json.h"
#include "eval/speed.h"
#include "metrics/statistics.h"
#include "runtime/engine.h"

namespace citius {

/// The instruction set that a package was made for, where that is not the one in use and speed was what it was made for;
/// empty otherwise, for another compute mode than it was measured in, and for models that are no package.
std::string made_for_other_isa(const Engine& engine);

/// How many times faster the package is here than its weights in the formats that the source had, measured in the same rounds
/// as optimize does. The source itself is not needed: time depends on formats, not on values. For engines of which
/// made_for_other_isa() is not empty; throws Error.
Estimate remeasure(Engine& engine, const OnProgress& progress = {});

/// What a result of remeasure() holds for: the package, the processor, its instruction set in use and the threads.
std::string remeasure_key(const Engine& engine);

}  // namespace citius
