#include "base/proc_file.h"

#include <cstdlib>
#include <fstream>
#include <string>

namespace citius {

std::optional<int64_t> number_in(const std::filesystem::path& path) {
  std::ifstream file(path);
  int64_t value = 0;
  if (!(file >> value) || value < 0 || value >= (int64_t{1} << 60)) return std::nullopt;
  return value;
}

int64_t number_after(const std::filesystem::path& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::strtoll(line.c_str() + key.size(), nullptr, 10);
  }
  return 0;
}

}  // namespace citius
