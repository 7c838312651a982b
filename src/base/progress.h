// Progress of long work on standard error: a bar with rate and time left on a terminal, plain lines now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace citius {

enum class ProgressUnit { kItems, kBytes, kShare };  // kShare: shown in percent of the total

class Progress {
 public:
  /// `total` 0 means that it is not known. Nothing is printed before half a second (5 s where not a terminal) has passed.
  Progress(std::string what, uint64_t total, ProgressUnit unit = ProgressUnit::kItems);
  /// Wipes the bar where finish() was not called.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of total. Cheap: prints at most ten times a second. Not from several threads at once.
  void update(uint64_t done);
  /// Work that was there already and shall not count in the rate (a resumed download).
  void skip(uint64_t done) { skipped_ = done; }
  void finish();

  /// The line as it would be shown, for a width of `columns`; 0 columns gives the form of plain lines.
  std::string line(uint64_t done, double seconds, int columns) const;

 private:
  double elapsed() const;
  void wipe();

  std::string what_;
  uint64_t total_;
  ProgressUnit unit_;
  uint64_t skipped_ = 0;
  uint64_t done_ = 0;
  bool terminal_;
  bool shown_ = false;
  double last_ = 0;  // seconds since start when something was last printed
  std::chrono::steady_clock::time_point start_;
};

/// "1.5 GB", "340 kB", "12 B" (decimal units, as network and disk makers count).
std::string format_bytes(double bytes);
/// "2 h 05 min", "3 min 20 s", "12 s".
std::string format_duration(double seconds);

}  // namespace citius
