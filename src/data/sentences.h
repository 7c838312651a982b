// The sentences on which encoders are judged where the user gives no text: written for this purpose, of many subjects,
// lengths and registers, some in languages other than English.
#pragma once

#include <string>
#include <vector>

namespace citius {

std::vector<std::string> builtin_sentences();

}  // namespace citius
