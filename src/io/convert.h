// Converting one weight of a checkpoint to another format, rows in parallel.
#pragma once

#include "base/thread_pool.h"
#include "quant/format.h"

namespace citius {

/// `source` in `target`, decoded and encoded row by row; the matrix itself where the format is the same. `turn` reads it
/// transposed. Throws Error{kInput} naming `name` where a row cannot be stored.
OwnedMatrix convert_weight(const OwnedMatrix& source, Format target, bool turn, const std::string& name, ThreadPool& threads);

}  // namespace citius
