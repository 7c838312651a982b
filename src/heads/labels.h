// The labels of a classifier, from config.json.
#pragma once

#include <string>
#include <vector>

#include "io/checkpoint.h"

namespace citius {

/// Names by id: id2label, or LABEL_0 … for num_labels (2 where nothing is said, as transformers has it). Throws
/// Error{kInput} where ids leave a gap.
std::vector<std::string> read_labels(const Checkpoint& checkpoint);

}  // namespace citius
