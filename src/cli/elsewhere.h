// A package that was made for other hardware: its speed is measured again here, once, and told.
#pragma once

#include "runtime/engine.h"

namespace citius::cli {

/// Warns on standard error where the engine's package was made for another instruction set, with what it gains here, or why
/// that cannot be measured. The measurement is kept in the store (measured/KEY.json) where that can be written.
void tell_elsewhere(Engine& engine);

}  // namespace citius::cli
