// A directory of its own for one test, removed when the test ends, and the shared data where it is there.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/file.h"

namespace citius {

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "citius-test-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path write(const std::string& name, std::string_view content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    // Not write_file: syncing thousands of small files to disk takes most of a test's time.
    std::ofstream(path_ / name, std::ios::binary) << content;
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

/// CITIUS_SHARED, or the folder "shared" beside the repository.
inline std::filesystem::path shared_data() {
  const char* given = std::getenv("CITIUS_SHARED");
  const std::filesystem::path shared = given != nullptr ? given : CITIUS_TEST_DIR "/../../shared";
  return shared / "data";
}

}  // namespace citius
