// Small files in which the kernel tells numbers: those of /proc, /sys and cgroups.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace citius {

/// The number in a file of one number; nullopt where it is absent, holds a word ("max"), or a negative number or one near 2^63, which is
/// how the kernel says unlimited.
std::optional<int64_t> number_in(const std::filesystem::path& path);

/// The number after `key` in a file of "key number" lines; 0 where there is none.
int64_t number_after(const std::filesystem::path& path, std::string_view key);

}  // namespace citius
